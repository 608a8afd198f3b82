//! Every kind of message in every language.

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Language, Letter, letter};
use crate::domain::{EventId, Money, OrderId, RefundId, UserId};
use crate::messages::about::{About, AccountField, CodePurpose, Links};
use crate::store::{
    LocalTime, ToldCart, ToldChange, ToldDifference, ToldItem, ToldOrder, ToldPlace, ToldRefund, ToldShow,
};

const BASE: &str = "https://tickets.example.com";
const NASTY: &str = "Rock & <b>Roll</b>\r\nBcc: all@example.com";

fn euros(amount: i64) -> Money {
    Money { amount, currency: "EUR".to_owned() }
}

fn at(hour: u32) -> LocalTime {
    let day = NaiveDate::from_ymd_opt(2027, 2, 5).and_then(|day| day.and_hms_opt(hour, 30, 0));
    LocalTime { at: day.expect("a date"), zone: "Europe/Kyiv".to_owned() }
}

fn show(name: &str) -> ToldShow {
    ToldShow {
        id: EventId(7),
        name: name.to_owned(),
        venue: "Lantern Theatre".to_owned(),
        city: "Lviv".to_owned(),
        starts: at(19),
        is_cancelled: false,
        is_over: false,
    }
}

fn cart(places: usize) -> ToldCart {
    let place = |nth: usize| ToldPlace {
        section: "Stalls".to_owned(),
        row_and_seat: (nth > 0).then(|| ("3".to_owned(), nth.to_string())),
        tier: "One".to_owned(),
        price: euros(6_500),
    };
    ToldCart {
        show: show("Songs"),
        status: "created".to_owned(),
        places: (1..=places).map(place).collect(),
        until: Some(at(12)),
    }
}

fn order() -> ToldOrder {
    let item = |place: &str| ToldItem {
        event: EventId(7),
        place: place.to_owned(),
        tier: "One".to_owned(),
        price: euros(6_550),
    };
    ToldOrder {
        id: OrderId(Uuid::from_u128(9)),
        status: "paid".to_owned(),
        total: euros(13_100),
        shows: vec![show("Songs")],
        items: vec![item("Stalls, row 3, seat 4"), item("Stalls, row 3, seat 5")],
    }
}

fn refund() -> ToldRefund {
    ToldRefund {
        id: RefundId(Uuid::from_u128(8)),
        order: OrderId(Uuid::from_u128(9)),
        amount: euros(6_550),
        is_failed: true,
    }
}

fn difference(kind: &str) -> ToldDifference {
    ToldDifference {
        provider: "stripe".to_owned(),
        reference: "cs_7".to_owned(),
        order: Some(OrderId(Uuid::from_u128(9))),
        kind: kind.to_owned(),
        ours: "captured".to_owned(),
        theirs: "charged_back 700 EUR of 2000 EUR".to_owned(),
        is_over: false,
    }
}

fn change(field: AccountField, hint: Option<&str>) -> About {
    let word = format!("{field:?}").to_lowercase();
    let change = ToldChange {
        user: UserId(5),
        field: word,
        told: "old@example.test".to_owned(),
        hint: hint.map(str::to_owned),
        at: LocalTime { zone: "UTC".to_owned(), ..at(19) },
    };
    About::AccountChanged { field, change }
}

/// Every kind of message, with what each of them must tell: subjects in English, Ukrainian and Russian, and words that
/// all three hold.
fn kinds() -> Vec<(About, [&'static str; 3], Vec<&'static str>)> {
    let digits = "042042".to_owned();
    let code = About::Code { purpose: CodePurpose::Phone, digits, minutes: 10 };
    let (page, when, place) =
        ("https://tickets.example.com/concerts/7", "19:30 (Europe/Kyiv)", "Stalls, row 3, seat 4 (One)");
    let order_page = "https://tickets.example.com/orders/00000000-0000-0000-0000-000000000009";
    vec![
        (code, ["Your code", "Ваш код", "Ваш код"], vec!["042042", "10\u{a0}"]),
        (
            change(AccountField::Phone, Some("…67")),
            [
                "The phone number of your account was changed",
                "Номер телефону вашого облікового запису змінено",
                "Номер телефона вашей учётной записи изменён",
            ],
            vec!["…67", "19:30 (UTC)", "https://tickets.example.com/password"],
        ),
        (
            About::SeatsReserved(cart(2)),
            [
                "2\u{a0}places reserved: Songs",
                "2\u{a0}місця заброньовано: Songs",
                "2\u{a0}места забронированы: Songs",
            ],
            vec!["12:30 (Europe/Kyiv)", "https://tickets.example.com/cart", "130", "Lantern Theatre, Lviv"],
        ),
        (
            About::ReservationExpired(show("Songs")),
            [
                "Your reservation has run out: Songs",
                "Час бронювання минув: Songs",
                "Время брони вышло: Songs",
            ],
            vec![page, when],
        ),
        (
            About::OrderPaid { order: order(), is_attached: true },
            ["Your tickets: Songs", "Ваші квитки: Songs", "Ваши билеты: Songs"],
            vec![order_page, when, place, "131"],
        ),
        (
            About::OrderExpired(order()),
            [
                "Your order was not paid in time: Songs",
                "Замовлення не оплачено вчасно: Songs",
                "Заказ не оплачен вовремя: Songs",
            ],
            vec![place, when],
        ),
        (
            About::Refunded { order: order(), amount: euros(13_100) },
            ["€131 back: Songs", "Повертаємо 131\u{a0}€: Songs", "Возвращаем 131\u{a0}€: Songs"],
            vec!["00000000-0000-0000-0000-000000000009", when],
        ),
        (
            About::EventChanged(show("Songs")),
            ["Changed: Songs", "Зміни: Songs", "Изменения: Songs"],
            vec![page, when, "Lantern Theatre, Lviv"],
        ),
        (
            About::EventCancelled(show("Songs")),
            ["Cancelled: Songs", "Скасовано: Songs", "Отменено: Songs"],
            vec![when],
        ),
        (
            About::PlaceRemoved { show: show("Songs"), place: "Stalls, row 3".to_owned() },
            ["A place of yours was removed: Songs", "Ваше місце прибрано: Songs", "Ваше место убрано: Songs"],
            vec!["Stalls, row 3", when],
        ),
        (
            About::RefundFailed(refund()),
            [
                "A refund has failed: €65.50",
                "Повернення не вдалося: 65,50\u{a0}€",
                "Возврат не удался: 65,50\u{a0}€",
            ],
            vec!["00000000-0000-0000-0000-000000000008", "https://tickets.example.com/operator"],
        ),
        (
            About::PaymentDiffers(difference("dispute_won")),
            [
                "A payment at stripe waits for a decision",
                "Платіж у stripe чекає на рішення",
                "Платёж у stripe ждёт решения",
            ],
            vec!["cs_7", "00000000-0000-0000-0000-000000000009", "charged_back 700 EUR of 2000 EUR"],
        ),
    ]
}

fn write(language: Language, about: &About) -> Letter {
    letter(language, "Nova", about, &Links::new(&format!("{BASE}/")))
}

#[test]
fn every_kind_tells_its_facts_in_every_language() {
    let greetings = ["Hello Nova,", "Вітаємо, Nova!", "Здравствуйте, Nova!"];
    for (about, subjects, words) in kinds() {
        for ((language, subject), greeting) in Language::ALL.into_iter().zip(subjects).zip(greetings) {
            let letter = write(language, &about);
            let (text, html) = (letter.text(), letter.html());
            assert_eq!(letter.subject, subject);
            assert!(text.starts_with(greeting), "{text}");
            assert!(html.contains(&format!("<html lang=\"{}\">", language.word())), "{html}");
            for word in &words {
                assert!(text.contains(word), "{subject}: {word} is missing in {text}");
                assert!(html.contains(word), "{subject}: {word} is missing in {html}");
            }
            assert!(!letter.short.is_empty() && letter.short.chars().count() <= 160, "{}", letter.short);
        }
    }
}

#[test]
fn a_whole_mail_reads_well() {
    let text = write(Language::En, &About::SeatsReserved(cart(1))).text().replace('\u{a0}', " ");
    assert_eq!(
        text,
        "Hello Nova,\n\n\
         You have 1 place in your cart, held for you until 12:30 (Europe/Kyiv):\n\n  \
         Songs\n  Lantern Theatre, Lviv\n  Friday, 5 February 2027, 19:30 (Europe/Kyiv)\n\n  \
         - Stalls, row 3, seat 1 (One): €65\n\n\
         Total: €65\n\n\
         Pay now: https://tickets.example.com/cart\n\n\
         What is not paid by then goes to the next in line.\n\n\
         -- \nUsher writes to you about what you book and buy. This address is not read; please do not answer.\n"
    );
}

#[test]
fn numbers_take_their_forms() {
    let subject = |language, places| {
        write(language, &About::SeatsReserved(cart(places))).subject.replace('\u{a0}', " ")
    };
    assert_eq!(subject(Language::En, 1), "1 place reserved: Songs");
    assert_eq!(subject(Language::Uk, 1), "1 місце заброньовано: Songs");
    assert_eq!(subject(Language::Uk, 5), "5 місць заброньовано: Songs");
    assert_eq!(subject(Language::Ru, 1), "1 место забронировано: Songs");
    assert_eq!(subject(Language::Ru, 3), "3 места забронированы: Songs");
    assert_eq!(subject(Language::Ru, 12), "12 мест забронировано: Songs");
}

#[test]
fn a_code_says_what_it_is_for() {
    for language in Language::ALL {
        let said = CodePurpose::ALL.map(|purpose| {
            let about = About::Code { purpose, digits: "123456".to_owned(), minutes: 1 };
            write(language, &about).text()
        });
        let mut different = said.to_vec();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), CodePurpose::ALL.len());
    }
}

#[test]
fn what_a_person_decides_about_a_payment_is_said() {
    for language in Language::ALL {
        let kinds = ["partly_charged_back", "dispute_won", "refunded_there", "status"];
        let mut said =
            kinds.map(|kind| write(language, &About::PaymentDiffers(difference(kind))).text()).to_vec();
        said.sort_unstable();
        said.dedup();
        assert_eq!(said.len(), kinds.len());
    }
}

#[test]
fn a_change_says_what_was_changed_and_offers_a_new_password_where_that_helps() {
    for language in Language::ALL {
        let letters = AccountField::ALL.map(|field| {
            let hint = (field != AccountField::Password).then_some("n…");
            (field, write(language, &change(field, hint)))
        });
        let mut subjects: Vec<&str> = letters.iter().map(|(_, letter)| letter.subject.as_str()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        assert_eq!(subjects.len(), AccountField::ALL.len());
        for (field, letter) in &letters {
            // A code for a new password would go to the new address.
            assert_eq!(letter.link().is_some(), *field != AccountField::Email, "{}", letter.text());
            assert_eq!(letter.text().contains("n…"), *field != AccountField::Password, "{}", letter.text());
        }
    }
}

#[test]
fn names_from_outside_neither_run_nor_reach_the_header() {
    for language in Language::ALL {
        let letter = write(language, &About::EventCancelled(show(NASTY)));
        assert!(!letter.subject.contains(['\r', '\n']), "{}", letter.subject);
        let html = letter.html();
        assert!(html.contains("Rock &amp; &lt;b&gt;Roll&lt;/b&gt; Bcc: all@example.com"), "{html}");
        assert!(!html.contains("<b>"), "{html}");
    }
}

#[test]
fn pages_load_nothing() {
    for (about, ..) in kinds() {
        let html = write(Language::Uk, &about).html();
        for loader in ["<img", "<link", "<script", "url(", "@import", " src="] {
            assert!(!html.contains(loader), "{loader} in {html}");
        }
    }
}

#[test]
fn somebody_without_a_name_is_greeted_all_the_same() {
    let about = About::EventCancelled(show("Songs"));
    let greeted = Language::ALL.map(|language| {
        let text = letter(language, "", &about, &Links::new(BASE)).text();
        text.lines().next().unwrap_or_default().to_owned()
    });
    assert_eq!(greeted, ["Hello!", "Вітаємо!", "Здравствуйте!"]);
}
