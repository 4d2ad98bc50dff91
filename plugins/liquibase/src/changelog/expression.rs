//! Expressions of contexts and labels: `test and !slow`, `a, b`, `a or (b and not c)`.

/// How deep parentheses may be nested.
const DEEPEST: usize = 32;

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    Name(String),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

impl Expression {
    /// Reads an expression. A comma means `or`, and binds least.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut words = Words {
            words: words(text),
            at: 0,
        };
        let expression = words.any(&[",", "or"], DEEPEST)?;
        match words.next() {
            None => Ok(expression),
            Some(word) => Err(format!("`{word}` is not expected in `{text}`")),
        }
    }

    /// Whether it holds where `has` tells which names do.
    pub(super) fn holds(&self, has: &impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Name(name) => has(name.trim_start_matches('@')),
            Self::Not(inner) => !inner.holds(has),
            Self::All(all) => all.iter().all(|inner| inner.holds(has)),
            Self::Any(any) => any.iter().any(|inner| inner.holds(has)),
        }
    }

    /// Whether a change set of this context runs in `contexts`. Without any, all run but those whose context (`@name`) must be asked for.
    pub(super) fn runs_in(&self, contexts: &[String]) -> bool {
        match contexts {
            [] => !self.is_strict(),
            _ => self.holds(&|name| {
                contexts
                    .iter()
                    .any(|context| context.eq_ignore_ascii_case(name))
            }),
        }
    }

    fn is_strict(&self) -> bool {
        match self {
            Self::Name(name) => name.starts_with('@'),
            Self::Not(inner) => inner.is_strict(),
            Self::All(inner) | Self::Any(inner) => inner.iter().any(Self::is_strict),
        }
    }
}

struct Words<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.at).copied();
        self.at += 1;
        word
    }

    fn skip(&mut self, words: &[&str]) -> bool {
        let next = self.words.get(self.at);
        let found =
            next.is_some_and(|next| words.iter().any(|word| word.eq_ignore_ascii_case(next)));
        self.at += usize::from(found);
        found
    }

    fn any(&mut self, separators: &[&str], depth: usize) -> Result<Expression, String> {
        let mut any = vec![self.all(depth)?];
        while self.skip(separators) {
            any.push(self.all(depth)?);
        }
        Ok(one_or(any, Expression::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Expression, String> {
        let mut all = vec![self.not(depth)?];
        while self.skip(&["and"]) {
            all.push(self.not(depth)?);
        }
        Ok(one_or(all, Expression::All))
    }

    fn not(&mut self, depth: usize) -> Result<Expression, String> {
        let mut negated = false;
        while self.skip(&["!", "not"]) {
            negated = !negated;
        }
        let inner = match self.next() {
            Some("(") => {
                let depth = depth
                    .checked_sub(1)
                    .ok_or("parentheses are nested too deeply")?;
                let inner = self.any(&[",", "or"], depth)?;
                if !self.skip(&[")"]) {
                    return Err("a parenthesis is not closed".to_owned());
                }
                inner
            }
            Some(word) if !matches!(word, ")" | ",") => Expression::Name(word.to_owned()),
            Some(word) => return Err(format!("`{word}` stands where a name must be")),
            None => return Err("a name is missing at its end".to_owned()),
        };
        Ok(match negated {
            true => Expression::Not(Box::new(inner)),
            false => inner,
        })
    }
}

fn one_or(mut many: Vec<Expression>, join: impl Fn(Vec<Expression>) -> Expression) -> Expression {
    match many.len() {
        1 => many.remove(0),
        _ => join(many),
    }
}

fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '(' | ')' | ',' | '!' => 1,
            _ => rest
                .find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '!'))
                .unwrap_or(rest.len()),
        };
        let (word, behind) = rest.split_at(end);
        words.push(word);
        rest = behind.trim_start();
    }
    words
}
