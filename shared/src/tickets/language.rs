//! What documents say in each language.

use chrono::{Datelike as _, NaiveDateTime};

use crate::domain::{Language, Money};

/// The fixed texts of a document.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// What the document is.
    pub ticket: &'static str,
    /// Label of the date.
    pub when: &'static str,
    /// Label of venue and city.
    pub venue: &'static str,
    /// Label of the place.
    pub place: &'static str,
    /// Label of the price tier.
    pub tier: &'static str,
    /// Label of the price.
    pub price: &'static str,
    /// Label of the holder's name.
    pub holder: &'static str,
    /// Label of the number.
    pub number: &'static str,
    /// Nothing to pay.
    pub free: &'static str,
    /// What to do with it.
    pub hint: &'static str,
}

const EN: Words = Words {
    ticket: "Ticket",
    when: "Date and time",
    venue: "Venue",
    place: "Place",
    tier: "Category",
    price: "Price",
    holder: "Name",
    number: "Ticket number",
    free: "Free",
    hint: "Show the code at the entrance, on paper or on a screen. It admits one person, once: do not show it to anybody \
        else before.",
};

const UK: Words = Words {
    ticket: "Квиток",
    when: "Дата і час",
    venue: "Місце проведення",
    place: "Місце",
    tier: "Категорія",
    price: "Ціна",
    holder: "Ім’я",
    number: "Номер квитка",
    free: "Безкоштовно",
    hint: "Покажіть код на вході, на папері або на екрані. За ним проходить одна людина, один раз: не показуйте його \
        нікому заздалегідь.",
};

const RU: Words = Words {
    ticket: "Билет",
    when: "Дата и время",
    venue: "Место проведения",
    place: "Место",
    tier: "Категория",
    price: "Цена",
    holder: "Имя",
    number: "Номер билета",
    free: "Бесплатно",
    hint: "Покажите код на входе, на бумаге или на экране. По нему проходит один человек, один раз: не показывайте его \
        никому заранее.",
};

const DAYS: [[&str; 7]; 3] = [
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    ["понеділок", "вівторок", "середа", "четвер", "п’ятниця", "субота", "неділя"],
    ["понедельник", "вторник", "среда", "четверг", "пятница", "суббота", "воскресенье"],
];

/// As they are said after the day's number.
const MONTHS: [[&str; 12]; 3] = [
    [
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
    [
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
    [
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
];

/// Currencies without a minor unit, and those with a thousandth (ISO 4217).
const WHOLE: [&str; 9] = ["JPY", "KRW", "VND", "CLP", "ISK", "UGX", "XAF", "XOF", "XPF"];
const THOUSANDTHS: [&str; 7] = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];

impl Language {
    /// The fixed texts.
    pub fn words(self) -> &'static Words {
        match self {
            Self::En => &EN,
            Self::Uk => &UK,
            Self::Ru => &RU,
        }
    }

    /// A date with its weekday, and the time of day.
    pub fn date(self, at: NaiveDateTime) -> String {
        let index = self as usize;
        let day = DAYS[index][at.weekday().num_days_from_monday() as usize];
        let month = MONTHS[index][at.month0() as usize];
        format!("{day}, {} {month} {}, {}", at.day(), at.year(), at.format("%H:%M"))
    }

    /// An amount in the major unit of its currency.
    pub fn money(self, money: &Money) -> String {
        if money.amount == 0 {
            return self.words().free.to_owned();
        }
        let digits = match money.currency.as_str() {
            currency if WHOLE.contains(&currency) => return format!("{} {currency}", money.amount),
            currency if THOUSANDTHS.contains(&currency) => 3,
            _ => 2,
        };
        let unit = 10_i64.pow(digits);
        let (whole, part) = (money.amount / unit, (money.amount % unit).abs());
        let point = if self == Self::En { '.' } else { ',' };
        format!("{whole}{point}{part:0width$} {}", money.currency, width = digits as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_amounts_are_written_as_people_do() {
        let at = chrono::NaiveDate::from_ymd_opt(2027, 1, 30).and_then(|day| day.and_hms_opt(19, 5, 0));
        let at = at.expect("a time");
        let dates = Language::ALL.map(|language| language.date(at));
        assert_eq!(
            dates,
            [
                "Saturday, 30 January 2027, 19:05",
                "субота, 30 січня 2027, 19:05",
                "суббота, 30 января 2027, 19:05"
            ]
        );
        let money = |amount, currency: &str| Money { amount, currency: currency.to_owned() };
        assert_eq!(Language::En.money(&money(123_405, "UAH")), "1234.05 UAH");
        assert_eq!(Language::Uk.money(&money(1_000, "EUR")), "10,00 EUR");
        assert_eq!(Language::Ru.money(&money(1_500, "JPY")), "1500 JPY");
        assert_eq!(Language::En.money(&money(1_500, "KWD")), "1.500 KWD");
        assert_eq!(Language::Uk.money(&money(0, "UAH")), "Безкоштовно");
    }
}
