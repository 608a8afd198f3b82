//! What people write of themselves: read into one form each, or refused with the field's name.

use secrecy::{ExposeSecret as _, SecretString};

/// Characters of a password.
const PASSWORD: std::ops::RangeInclusive<usize> = 8..=128;
/// Characters of a name, a login, or an e-mail address.
const TEXT: std::ops::RangeInclusive<usize> = 1..=100;
/// Digits of a phone number (E.164 has 15 at most).
const PHONE: std::ops::RangeInclusive<usize> = 5..=15;
/// Languages that messages are written in.
const LANGUAGES: [&str; 3] = ["en", "uk", "ru"];

/// A value is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FieldError(pub String);

fn refuse<T>(detail: &str) -> Result<T, FieldError> {
    Err(FieldError(detail.to_owned()))
}

/// A text of 1 to 100 characters on one line, trimmed.
///
/// # Errors
/// It is shorter, longer, or has control characters.
pub fn text(value: &str, name: &str) -> Result<String, FieldError> {
    let value = value.trim();
    if TEXT.contains(&value.chars().count()) && !value.chars().any(char::is_control) {
        return Ok(value.to_owned());
    }
    Err(FieldError(format!("{name} must be 1 to 100 characters")))
}

/// An e-mail address in lower case.
///
/// # Errors
/// It is none.
pub fn email(value: &str) -> Result<String, FieldError> {
    let email = text(value, "email")?.to_lowercase();
    let is_email = email.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty()
            && host.contains('.')
            && !host.starts_with('.')
            && !host.ends_with('.')
            && !host.contains('@')
    });
    if !is_email || email.contains(char::is_whitespace) {
        return refuse("email is not an e-mail address");
    }
    // Names that no mail reaches stand for services and for those who were erased.
    if email.ends_with(".invalid") {
        return refuse("email is not an e-mail address that mail reaches");
    }
    Ok(email)
}

/// A login name in lower case.
///
/// # Errors
/// It is too long, or has a sign that an e-mail address or Basic credentials would be split at.
pub fn login(value: &str) -> Result<String, FieldError> {
    let login = text(value, "login")?.to_lowercase();
    if login.contains('@') {
        return refuse("login must not contain @, so that it is never taken for an e-mail address");
    }
    if login.contains(':') {
        return refuse("login must not contain a colon, at which Basic credentials are split");
    }
    Ok(login)
}

/// A phone number as `+` and digits, which `00` and digits are read as; digits alone stay so.
///
/// # Errors
/// It has other signs than digits, a leading `+`, spaces, dashes, dots and brackets, or too few or many digits.
pub fn phone(value: &str) -> Result<String, FieldError> {
    let kept: String =
        value.trim().chars().filter(|sign| !matches!(sign, ' ' | '-' | '.' | '(' | ')' | '\u{a0}')).collect();
    // What is dialled for the `+` in most countries.
    let kept = match kept.strip_prefix("00") {
        Some(digits) => format!("+{digits}"),
        None => kept,
    };
    let digits = kept.strip_prefix('+').unwrap_or(&kept);
    if PHONE.contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Ok(kept);
    }
    refuse("phone must be 5 to 15 digits, with a + before them if it is international")
}

/// A language that messages are written in.
///
/// # Errors
/// It is another one.
pub fn language(value: &str) -> Result<String, FieldError> {
    let known = LANGUAGES.contains(&value);
    if known { Ok(value.to_owned()) } else { refuse("language must be en, uk or ru") }
}

/// A password that may be set.
///
/// # Errors
/// It is shorter or longer.
pub fn password(value: &SecretString) -> Result<(), FieldError> {
    if PASSWORD.contains(&value.expose_secret().chars().count()) {
        return Ok(());
    }
    refuse("password must be 8 to 128 characters")
}

/// A part of a value by which its owner knows it again, and nobody else learns it: the first sign of a name and the host of
/// an address, the last two digits of a number.
pub fn hint(value: &str) -> String {
    let first = |name: &str| {
        let shown: String = name.chars().take(usize::from(name.chars().count() > 2)).collect();
        format!("{shown}…")
    };
    if let Some((name, host)) = value.split_once('@') {
        return format!("{}@{host}", first(name));
    }
    match value.char_indices().nth_back(1) {
        Some((last_two, _)) if phone(value).is_ok() => format!("…{}", &value[last_two..]),
        _ => first(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_never_the_whole_value() {
        for (value, expected) in [
            ("supernova@example.test", "s…@example.test"),
            ("n@example.test", "…@example.test"),
            ("+380501234567", "…67"),
            ("50123", "…23"),
            ("надія", "н…"),
            ("io", "…"),
            ("", "…"),
        ] {
            assert_eq!(hint(value), expected);
        }
    }

    #[test]
    fn fields_are_read_into_one_form() {
        assert_eq!(email(" Nova@Example.Test ").expect("email"), "nova@example.test");
        assert_eq!(login("Nova").expect("login"), "nova");
        for written in ["+38 (050) 123-45-67", "00380501234567", "00 38 050 123.45.67"] {
            assert_eq!(phone(written).expect("phone"), "+380501234567", "{written}");
        }
        assert_eq!(phone("050 123 45 67").expect("phone"), "0501234567", "as it is dialled in its country");
        assert_eq!(text("  Ada ", "firstName").expect("name"), "Ada");
    }

    #[test]
    fn what_is_no_such_field_is_refused() {
        for bad in ["", "no address", "a@b", "a@.b", "a@b.", "a b@c.d", "a@b@c.d", "service@service.invalid"]
        {
            assert!(email(bad).is_err(), "{bad}");
        }
        assert!(login("a@b").is_err() && login("a:b").is_err());
        for bad in ["", "1234", "+12a45678", "1234567890123456", "12+34567", "00+380501234567", "001234"] {
            assert!(phone(bad).is_err(), "{bad}");
        }
        assert!(language("de").is_err() && language("uk").is_ok());
        assert!(text("a\nb", "firstName").is_err() && text(&"x".repeat(101), "firstName").is_err());
    }
}
