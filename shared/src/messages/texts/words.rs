//! Money, dates and plural forms as each language writes them.

use chrono::{Datelike as _, Timelike as _, Weekday};

use super::Language;
use crate::domain::Money;
use crate::store::LocalTime;

/// A space that does not break: between the groups of a number, and before a currency.
const THIN: char = '\u{a0}';

/// An amount: `€1,234.50`, `1 234,50 €`.
pub fn money(language: Language, money: &Money) -> String {
    let digits = minor_digits(&money.currency);
    let unit = 10_u64.pow(digits);
    let amount = money.amount.unsigned_abs();
    let sign = if money.amount < 0 { "−" } else { "" };
    let (group, point) = match language {
        Language::En => (',', '.'),
        Language::Uk | Language::Ru => (THIN, ','),
    };
    let mut number = grouped(amount / unit, group);
    // Whole amounts are told without zeros, as people write prices.
    if !amount.is_multiple_of(unit) {
        number = format!("{number}{point}{:0width$}", amount % unit, width = digits as usize);
    }
    let symbol = symbol(language, &money.currency);
    match language {
        Language::En if symbol == money.currency => format!("{sign}{symbol}{THIN}{number}"),
        Language::En => format!("{sign}{symbol}{number}"),
        Language::Uk | Language::Ru => format!("{sign}{number}{THIN}{symbol}"),
    }
}

/// Several amounts, one for each currency.
pub fn sums(language: Language, sums: &[Money]) -> String {
    sums.iter().map(|sum| money(language, sum)).collect::<Vec<_>>().join(" + ")
}

/// Digits after the point, as ISO 4217 has them.
fn minor_digits(currency: &str) -> u32 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

fn symbol(language: Language, currency: &str) -> &str {
    match (currency, language) {
        ("EUR", _) => "€",
        ("USD", _) => "$",
        ("GBP", _) => "£",
        ("PLN", _) => "zł",
        ("UAH", Language::En) => "₴",
        ("UAH", Language::Uk | Language::Ru) => "грн",
        ("RUB", _) => "₽",
        (other, _) => other,
    }
}

fn grouped(number: u64, group: char) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(group);
        }
        text.push(digit);
    }
    text
}

/// A date and a time with their zone: `Friday, 20 November 2026, 19:00 (Europe/Kyiv)`.
pub fn date(language: Language, time: &LocalTime) -> String {
    let at = time.at;
    let (weekday, month) = (weekday(language, at.weekday()), month(language, at.month0()));
    let year = match language {
        Language::En => at.year().to_string(),
        Language::Uk => format!("{} р.", at.year()),
        Language::Ru => format!("{} г.", at.year()),
    };
    format!("{weekday}, {} {month} {year}, {}", at.day(), clock(time))
}

/// A time of day with its zone: `19:00 (Europe/Kyiv)`.
pub fn clock(time: &LocalTime) -> String {
    format!("{:02}:{:02} ({})", time.at.hour(), time.at.minute(), time.zone)
}

fn weekday(language: Language, day: Weekday) -> &'static str {
    let names = match language {
        Language::En => ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
        Language::Uk => ["понеділок", "вівторок", "середа", "четвер", "п’ятниця", "субота", "неділя"],
        Language::Ru => ["понедельник", "вторник", "среда", "четверг", "пятница", "суббота", "воскресенье"],
    };
    names[day.num_days_from_monday() as usize % 7]
}

/// The name of a month after its day, 0 being January.
fn month(language: Language, month0: u32) -> &'static str {
    let names = match language {
        Language::En => [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ],
        Language::Uk => [
            "січня",
            "лютого",
            "березня",
            "квітня",
            "травня",
            "червня",
            "липня",
            "серпня",
            "вересня",
            "жовтня",
            "листопада",
            "грудня",
        ],
        Language::Ru => [
            "января",
            "февраля",
            "марта",
            "апреля",
            "мая",
            "июня",
            "июля",
            "августа",
            "сентября",
            "октября",
            "ноября",
            "декабря",
        ],
    };
    names[month0 as usize % 12]
}

/// The form of a word that goes with a number. English knows the first two of `[one, few, many]` only as one and many;
/// Ukrainian and Russian: 1, 21, 31…; 2 to 4, 22 to 24…; all others, 11 to 14 among them.
pub fn plural(language: Language, count: usize, [one, few, many]: [&'static str; 3]) -> &'static str {
    match language {
        Language::En if count == 1 => one,
        Language::En => many,
        Language::Uk | Language::Ru => match (count % 10, count % 100) {
            (_, 11..=14) => many,
            (1, _) => one,
            (2..=4, _) => few,
            _ => many,
        },
    }
}

/// A number with its word: `2 places`.
pub fn count(language: Language, count: usize, forms: [&'static str; 3]) -> String {
    format!("{count}{THIN}{}", plural(language, count, forms))
}

/// Names and the like on one line: what comes from outside may hold line breaks, which a header must not.
pub fn one_line(text: &str) -> String {
    let printable: String = text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect();
    printable.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    fn told(language: Language, amount: i64, currency: &str) -> String {
        money(language, &Money { amount, currency: currency.to_owned() })
    }

    #[test]
    fn money_is_told_as_each_language_writes_it() {
        assert_eq!(told(Language::En, 123_450, "EUR"), "€1,234.50");
        assert_eq!(told(Language::En, 6_500, "EUR"), "€65");
        assert_eq!(told(Language::En, 5, "USD"), "$0.05");
        assert_eq!(told(Language::En, 100_000, "SEK"), "SEK\u{a0}1,000");
        assert_eq!(told(Language::Uk, 123_450, "UAH"), "1\u{a0}234,50\u{a0}грн");
        assert_eq!(told(Language::Ru, 100_000_000, "EUR"), "1\u{a0}000\u{a0}000\u{a0}€");
        assert_eq!(told(Language::Ru, 1_500, "JPY"), "1\u{a0}500\u{a0}JPY");
        assert_eq!(told(Language::En, 1_234, "KWD"), "KWD\u{a0}1.234");
        assert_eq!(told(Language::En, -250, "GBP"), "−£2.50");
        let both = [1_000, 2_050].map(|amount| Money { amount, currency: "EUR".to_owned() });
        assert_eq!(sums(Language::En, &both), "€10 + €20.50");
    }

    #[test]
    fn plural_forms_follow_the_number() {
        let (uk, ru) = (["місце", "місця", "місць"], ["место", "места", "мест"]);
        for (number, form) in [
            (1, 0),
            (2, 1),
            (4, 1),
            (5, 2),
            (11, 2),
            (12, 2),
            (14, 2),
            (20, 2),
            (21, 0),
            (22, 1),
            (25, 2),
            (111, 2),
            (101, 0),
            (0, 2),
        ] {
            assert_eq!(plural(Language::Uk, number, uk), uk[form], "{number}");
            assert_eq!(plural(Language::Ru, number, ru), ru[form], "{number}");
        }
        let en = ["place", "places", "places"];
        assert_eq!(count(Language::En, 1, en), "1\u{a0}place");
        assert_eq!(count(Language::En, 21, en), "21\u{a0}places");
    }

    #[test]
    fn dates_are_told_with_their_day_and_zone() {
        let at =
            NaiveDate::from_ymd_opt(2026, 11, 20).and_then(|day| day.and_hms_opt(19, 5, 0)).expect("a date");
        let time = LocalTime { at, zone: "Europe/Kyiv".to_owned() };
        assert_eq!(date(Language::En, &time), "Friday, 20 November 2026, 19:05 (Europe/Kyiv)");
        assert_eq!(date(Language::Uk, &time), "п’ятниця, 20 листопада 2026 р., 19:05 (Europe/Kyiv)");
        assert_eq!(date(Language::Ru, &time), "пятница, 20 ноября 2026 г., 19:05 (Europe/Kyiv)");
    }

    #[test]
    fn what_comes_from_outside_stays_on_its_line() {
        assert_eq!(one_line("A show\r\nBcc: all@example.com\t!"), "A show Bcc: all@example.com !");
    }
}
