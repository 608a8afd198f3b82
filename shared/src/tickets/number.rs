//! Ticket numbers: what somebody can read out at the door when a code cannot be scanned.

use std::fmt;
use std::str::FromStr;

/// Crockford's digits: none of them is taken for another one.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Digits of a number; the last one checks the others.
const LENGTH: usize = 12;

/// Twelve digits in base 32. The last one makes every single mistake, and every exchange of neighbours, visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketNumber([u8; LENGTH]);

/// This is no ticket number; a digit was misread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no ticket number; look at its digits again")]
pub struct NumberError;

impl TicketNumber {
    /// A number at random, one of 2^55.
    pub fn random() -> Self {
        let mut values: [u8; LENGTH] = rand::random::<[u8; LENGTH]>().map(|byte| byte % 32);
        values[LENGTH - 1] = check(&values[..LENGTH - 1]);
        Self(values)
    }

    /// In three groups, as it is printed.
    pub fn grouped(self) -> String {
        let digits = self.to_string();
        format!("{}-{}-{}", &digits[..4], &digits[4..8], &digits[8..])
    }
}

impl fmt::Display for TicketNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|value| write!(f, "{}", char::from(DIGITS[usize::from(*value)])))
    }
}

impl FromStr for TicketNumber {
    type Err = NumberError;

    /// Reads what people type: small letters, hyphens, blanks, O for 0, I and L for 1.
    fn from_str(text: &str) -> Result<Self, NumberError> {
        let mut values = [0; LENGTH];
        let mut count = 0;
        for letter in text.chars().filter(|letter| !matches!(letter, '-' | ' ')) {
            *values.get_mut(count).ok_or(NumberError)? = value_of(letter).ok_or(NumberError)?;
            count += 1;
        }
        let is_good = count == LENGTH && check(&values[..LENGTH - 1]) == values[LENGTH - 1];
        if is_good { Ok(Self(values)) } else { Err(NumberError) }
    }
}

fn value_of(letter: char) -> Option<u8> {
    let letter = match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let at = DIGITS.iter().position(|digit| char::from(*digit) == letter)?;
    u8::try_from(at).ok()
}

/// The sum of the digits, each times another power of a generator of the field of 32 elements.
fn check(values: &[u8]) -> u8 {
    values.iter().fold(0, |sum, value| twice(sum ^ value))
}

/// Times the generator, modulo x^5 + x^2 + 1.
fn twice(value: u8) -> u8 {
    let doubled = value << 1;
    if doubled & 32 == 0 { doubled } else { doubled ^ 0b10_0101 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_type_them() {
        for _ in 0..200 {
            let number = TicketNumber::random();
            assert_eq!(number.to_string().parse(), Ok(number));
            let typed = number.grouped().to_lowercase().replace('0', "o").replace('1', "l");
            assert_eq!(typed.parse(), Ok(number), "{typed}");
        }
    }

    #[test]
    fn one_wrong_digit_or_two_exchanged_ones_are_noticed() {
        for _ in 0..20 {
            let number = TicketNumber::random();
            for at in 0..LENGTH {
                for other in (0..32).filter(|other| *other != number.0[at]) {
                    let mut wrong = number;
                    wrong.0[at] = other;
                    assert_eq!(wrong.to_string().parse::<TicketNumber>(), Err(NumberError));
                }
                let mut swapped = number;
                swapped.0.swap(at, (at + 1).min(LENGTH - 1));
                let is_other = swapped != number;
                assert_eq!(swapped.to_string().parse::<TicketNumber>().is_err(), is_other);
            }
        }
        for text in ["", "ABC", "ABCD-EFGH-JKMN-P", "УУУУ-УУУУ-УУУУ", "UUUUUUUUUUUU"] {
            assert_eq!(text.parse::<TicketNumber>(), Err(NumberError), "{text}");
        }
    }
}
