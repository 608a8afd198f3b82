//! The page's words in its three languages.

use crate::session::Status;

/// Everything that the page says in one language.
#[derive(Debug)]
pub struct Words {
    /// The language's code.
    pub lang: &'static str,
    /// The page's title.
    pub title: &'static str,
    /// That no money moves.
    pub notice: &'static str,
    /// Before the amount.
    pub amount: &'static str,
    /// Before the choices.
    pub choose: &'static str,
    /// Pay by card, and what that does.
    pub card: (&'static str, &'static str),
    /// Pay by SBP, and what that does.
    pub sbp: (&'static str, &'static str),
    /// A card that is declined, and what that does.
    pub decline: (&'static str, &'static str),
    /// Walk away, and what that does.
    pub leave: (&'static str, &'static str),
    /// Back to the shop.
    pub back: &'static str,
    paid: &'static str,
    declined: &'static str,
    closed: &'static str,
    returned: &'static str,
    /// There is no such page.
    pub unknown: &'static str,
}

const EN: Words = Words {
    lang: "en",
    title: "Test payment",
    notice: "This is a sandbox: no money moves, and no card details are asked for.",
    amount: "To pay",
    choose: "How should this payment end?",
    card: ("Pay by card", "The amount is set aside, and taken when the shop confirms."),
    sbp: ("Pay by SBP", "The amount is transferred at once."),
    decline: ("Decline", "The bank refuses the card."),
    leave: ("Walk away", "Back to the shop without paying; this page stays open."),
    back: "Back to the shop",
    paid: "Paid. Thank you!",
    declined: "The bank has declined this payment.",
    closed: "This page is closed; nothing was paid.",
    returned: "The money went back.",
    unknown: "There is no such payment page.",
};

const UK: Words = Words {
    lang: "uk",
    title: "Тестова оплата",
    notice: "Це пісочниця: гроші не рухаються, дані картки не запитуються.",
    amount: "До сплати",
    choose: "Чим має закінчитися ця оплата?",
    card: ("Сплатити карткою", "Сума резервується і списується, коли магазин підтвердить."),
    sbp: ("Сплатити через СБП", "Сума переказується одразу."),
    decline: ("Відхилити", "Банк відмовляє картці."),
    leave: ("Піти", "Повернутися до магазину без оплати; сторінка лишається відкритою."),
    back: "Назад до магазину",
    paid: "Сплачено. Дякуємо!",
    declined: "Банк відхилив цю оплату.",
    closed: "Сторінку закрито, нічого не сплачено.",
    returned: "Гроші повернено.",
    unknown: "Такої сторінки оплати немає.",
};

const RU: Words = Words {
    lang: "ru",
    title: "Тестовая оплата",
    notice: "Это песочница: деньги не движутся, данные карты не запрашиваются.",
    amount: "К оплате",
    choose: "Чем должна закончиться эта оплата?",
    card: ("Оплатить картой", "Сумма резервируется и списывается, когда магазин подтвердит."),
    sbp: ("Оплатить через СБП", "Сумма переводится сразу."),
    decline: ("Отклонить", "Банк отказывает карте."),
    leave: ("Уйти", "Вернуться в магазин без оплаты; страница остаётся открытой."),
    back: "Назад в магазин",
    paid: "Оплачено. Спасибо!",
    declined: "Банк отклонил эту оплату.",
    closed: "Страница закрыта, ничего не оплачено.",
    returned: "Деньги возвращены.",
    unknown: "Такой страницы оплаты нет.",
};

impl Words {
    /// Those of a language; English for others.
    pub fn of(language: &str) -> &'static Self {
        match language {
            "uk" => &UK,
            "ru" => &RU,
            _ => &EN,
        }
    }

    /// How a session stands; `None` while it can be paid.
    pub fn end(&self, status: Status) -> Option<&'static str> {
        match status {
            Status::Open => None,
            Status::Authorized | Status::Captured => Some(self.paid),
            Status::Declined => Some(self.declined),
            Status::Expired => Some(self.closed),
            Status::Released | Status::ChargedBack => Some(self.returned),
        }
    }
}
