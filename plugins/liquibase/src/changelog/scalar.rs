//! The text that Liquibase makes of a scalar in YAML: it reads ids and authors as numbers and booleans first. So `id: 1.10` is the change set
//! `1.1`, and `id: 010` is `8` [seen with Liquibase 4.28].

use copal_sdk::yaml::{Node, Value};

/// The text; none where it is no scalar, or null.
pub(super) fn text(node: &Node) -> Option<String> {
    let text = node.text()?;
    let Value::Scalar { plain: true, .. } = node.value else {
        return Some(text.to_owned());
    };
    let boolean = node.boolean().map(|value| value.to_string());
    Some(
        boolean
            .or_else(|| integer(text))
            .or_else(|| float(text))
            .unwrap_or_else(|| text.to_owned()),
    )
}

/// An integer of YAML 1.1: decimal, `0b`, `0x`, octal with a leading zero, or sexagesimal with colons.
fn integer(text: &str) -> Option<String> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits = digits.replace('_', "");
    let value = if let Some(digits) = digits.strip_prefix("0b") {
        i128::from_str_radix(digits, 2).ok()?
    } else if let Some(digits) = digits.strip_prefix("0x") {
        i128::from_str_radix(digits, 16).ok()?
    } else if digits.contains(':') {
        sexagesimal(&digits)?
    } else if digits.len() > 1 && digits.starts_with('0') {
        i128::from_str_radix(&digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    Some(if negative { -value } else { value }.to_string())
}

fn sexagesimal(digits: &str) -> Option<i128> {
    let mut parts = digits.split(':');
    let first = parts.next().filter(|first| !first.starts_with('0'))?;
    parts.try_fold(first.parse::<i128>().ok()?, |value, part| {
        let digit: u8 = part.parse().ok().filter(|digit| *digit < 60)?;
        value.checked_mul(60)?.checked_add(i128::from(digit))
    })
}

/// A floating-point number as Java writes it.
fn float(text: &str) -> Option<String> {
    let unsigned = text.trim_start_matches(['-', '+']);
    let begins = unsigned.starts_with(|c: char| c.is_ascii_digit())
        || (unsigned.starts_with('.') && unsigned[1..].starts_with(|c: char| c.is_ascii_digit()));
    let only = |c: char| c.is_ascii_digit() || "+-._eE".contains(c);
    if !begins || !unsigned.contains(['.', 'e', 'E']) || !text.chars().all(only) {
        return None;
    }
    let value: f64 = text.replace('_', "").parse().ok()?;
    let size = value.abs();
    if !value.is_finite() {
        return None;
    }
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return Some(format!("{value:?}"));
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e')?;
    let point = if mantissa.contains('.') { "" } else { ".0" };
    Some(format!("{mantissa}{point}E{exponent}"))
}
