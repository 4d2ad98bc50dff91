//! Types as a page spells them: each name of the contract leads to where it is explained.

use wit_parser::{Handle, InterfaceId, Resolve, Result_, Type, TypeDefKind, TypeId, TypeOwner};

/// Spells types for the page of one interface.
pub(super) struct Spelling<'a> {
    pub(super) resolve: &'a Resolve,
    pub(super) page: InterfaceId,
}

impl Spelling<'_> {
    /// A type in Markdown.
    pub(super) fn of(&self, ty: &Type) -> String {
        joined(&self.parts(ty))
    }

    /// What a type without a name of its own is made of, in Markdown.
    pub(super) fn of_kind(&self, kind: &TypeDefKind) -> String {
        joined(&self.kind_parts(kind))
    }

    fn parts(&self, ty: &Type) -> Vec<Part> {
        match ty {
            Type::Id(id) => self.named(*id),
            Type::Bool => word("bool"),
            Type::U8 => word("u8"),
            Type::U16 => word("u16"),
            Type::U32 => word("u32"),
            Type::U64 => word("u64"),
            Type::S8 => word("s8"),
            Type::S16 => word("s16"),
            Type::S32 => word("s32"),
            Type::S64 => word("s64"),
            Type::F32 => word("f32"),
            Type::F64 => word("f64"),
            Type::Char => word("char"),
            Type::String => word("string"),
            Type::ErrorContext => word("error-context"),
        }
    }

    fn named(&self, id: TypeId) -> Vec<Part> {
        let definition = &self.resolve.types[id];
        let Some(name) = &definition.name else {
            return self.kind_parts(&definition.kind);
        };
        // What an interface uses from another is a name for that.
        if let TypeDefKind::Type(Type::Id(origin)) = definition.kind {
            return self.named(origin);
        }
        let TypeOwner::Interface(owner) = definition.owner else {
            return word(name);
        };
        let page = match &self.resolve.interfaces[owner].name {
            Some(page) if owner != self.page => format!("{page}.md"),
            _ => String::new(),
        };
        vec![Part::Link(name.clone(), format!("{page}#{name}"))]
    }

    fn kind_parts(&self, kind: &TypeDefKind) -> Vec<Part> {
        match kind {
            TypeDefKind::Option(ty) => self.wrapped("option", &[Some(ty)]),
            TypeDefKind::List(ty) => self.wrapped("list", &[Some(ty)]),
            TypeDefKind::Result(Result_ { ok, err }) => {
                self.wrapped("result", &[ok.as_ref(), err.as_ref()])
            }
            TypeDefKind::Tuple(tuple) => {
                let types: Vec<_> = tuple.types.iter().map(Some).collect();
                self.wrapped("tuple", &types)
            }
            TypeDefKind::Handle(Handle::Own(id)) => self.named(*id),
            TypeDefKind::Handle(Handle::Borrow(id)) => {
                self.wrapped("borrow", &[Some(&Type::Id(*id))])
            }
            TypeDefKind::Type(ty) => self.parts(ty),
            other => word(other.as_str()),
        }
    }

    /// `name<A, B>`; a part that is missing is `_`, and none at the end.
    fn wrapped(&self, name: &str, inner: &[Option<&Type>]) -> Vec<Part> {
        let filled = inner
            .iter()
            .rposition(Option::is_some)
            .map_or(0, |last| last + 1);
        let mut parts = word(name);
        for (index, ty) in inner.iter().take(filled).enumerate() {
            parts.extend(word(if index == 0 { "<" } else { ", " }));
            match ty {
                Some(ty) => parts.extend(self.parts(ty)),
                None => parts.extend(word("_")),
            }
        }
        if filled > 0 {
            parts.extend(word(">"));
        }
        parts
    }
}

enum Part {
    Code(String),
    Link(String, String),
}

fn word(text: &str) -> Vec<Part> {
    vec![Part::Code(text.to_owned())]
}

/// Code and links side by side, with neighbouring code in one span.
fn joined(parts: &[Part]) -> String {
    let mut text = String::new();
    let mut open = false;
    for part in parts {
        match part {
            Part::Code(code) => {
                if !open {
                    text.push('`');
                }
                text.push_str(code);
                open = true;
            }
            Part::Link(name, target) => {
                if open {
                    text.push('`');
                }
                text.push_str(&format!("[`{name}`]({target})"));
                open = false;
            }
        }
    }
    if open {
        text.push('`');
    }
    text
}
