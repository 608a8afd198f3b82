//! Messages in Ukrainian.

use super::Language::Uk;
use super::letter::{Block, Letter};
use super::parts::{Sheet, card, name, names, ordered, places, total};
use super::words::{clock, count, date, money, one_line, sums};
use crate::domain::Money;
use crate::messages::about::{About, AccountField, CodePurpose, Links};
use crate::store::{ToldCart, ToldChange, ToldDifference, ToldOrder, ToldRefund, ToldShow};

const PLACES: [&str; 3] = ["місце", "місця", "місць"];
const MINUTES: [&str; 3] = ["хвилину", "хвилини", "хвилин"];

pub(super) fn letter(person: &str, about: &About, links: &Links) -> Letter {
    let (subject, short, blocks) = match about {
        About::Code { purpose, digits, minutes } => code(*purpose, digits, *minutes),
        About::AccountChanged { field, change } => account_changed(*field, change, links),
        About::SeatsReserved(cart) => seats_reserved(cart, links),
        About::ReservationExpired(show) => reservation_expired(show, links),
        About::OrderPaid { order, is_attached } => order_paid(order, *is_attached, links),
        About::OrderExpired(order) => order_expired(order),
        About::Refunded { order, amount } => refunded(order, amount),
        About::EventChanged(show) => event_changed(show, links),
        About::EventCancelled(show) => event_cancelled(show),
        About::PlaceRemoved { show, place } => place_removed(show, place),
        About::RefundFailed(refund) => refund_failed(refund, links),
        About::PaymentDiffers(difference) => payment_differs(difference, links),
    };
    let greeting =
        if person.is_empty() { "Вітаємо!".to_owned() } else { format!("Вітаємо, {person}!") };
    Letter {
        language: "uk",
        subject,
        short,
        blocks: std::iter::once(Block::Line(greeting)).chain(blocks).collect(),
        footer: "Usher пише вам про те, що ви бронюєте й купуєте. Цю скриньку не читають, тож не відповідайте на лист."
            .to_owned(),
    }
}

fn line(text: impl Into<String>) -> Block {
    Block::Line(text.into())
}

fn code(purpose: CodePurpose, digits: &str, minutes: u32) -> Sheet {
    let what = match purpose {
        CodePurpose::Email => "щоб підтвердити нову електронну адресу",
        CodePurpose::Phone => "щоб підтвердити новий номер телефону",
        CodePurpose::Login => "щоб підтвердити новий логін",
        CodePurpose::Password => "щоб задати новий пароль",
        CodePurpose::Verify => "щоб підтвердити, що ця електронна адреса ваша",
        CodePurpose::Other => "щоб підтвердити свій запит",
    };
    let good_for = count(Uk, minutes as usize, MINUTES);
    let blocks = vec![
        line(format!("Введіть цей код, {what}:")),
        Block::Code(digits.to_owned()),
        line(format!("Код діє {good_for}. Нікому його не кажіть: ми ніколи про нього не питаємо.")),
        line("Якщо код запитали не ви, нічого не робіть: без коду нічого не зміниться."),
    ];
    let short = format!("{digits} — ваш код Usher. Діє {good_for}. Нікому його не кажіть.");
    ("Ваш код".to_owned(), short, blocks)
}

fn account_changed(field: AccountField, change: &ToldChange, links: &Links) -> Sheet {
    let (what, now) = match field {
        AccountField::Email => ("Електронну адресу вашого облікового запису змінено", "Нова адреса"),
        AccountField::Phone => ("Номер телефону вашого облікового запису змінено", "Новий номер"),
        AccountField::Login => ("Логін вашого облікового запису змінено", "Новий логін"),
        AccountField::Password => ("Пароль вашого облікового запису змінено", ""),
    };
    let mut blocks = vec![line(format!("{what}.")), Block::Sum("Коли".to_owned(), date(Uk, &change.at))];
    blocks.extend(change.hint.iter().map(|hint| Block::Sum(now.to_owned(), one_line(hint))));
    blocks.push(line("Якщо це були ви, робити нічого не потрібно."));
    if field == AccountField::Email {
        blocks.push(line(
            "Якщо це були не ви, вашим обліковим записом володіє хтось інший: негайно повідомте того, хто продав вам квитки. \
             Повідомлення про обліковий запис відтепер надходять на нову адресу.",
        ));
    } else {
        blocks.push(line("Якщо це були не ви, негайно задайте новий пароль: тоді всі входи завершаться."));
        blocks.push(Block::Button("Задати новий пароль".to_owned(), links.password()));
    }
    (what.to_owned(), format!("{what}. Якщо це були не ви, дійте негайно."), blocks)
}

fn seats_reserved(cart: &ToldCart, links: &Links) -> Sheet {
    let (show, number) = (name(&cart.show), count(Uk, cart.places.len(), PLACES));
    let until = cart.until.as_ref().map_or_else(String::new, |until| format!(" до {}", clock(until)));
    let blocks = vec![
        line(format!("У вашому кошику {number}, тримаємо для вас{until}:")),
        card(Uk, &cart.show),
        places(Uk, cart, ("ряд", "місце")),
        Block::Sum("Разом".to_owned(), sums(Uk, &total(cart))),
        Block::Button("Оплатити".to_owned(), links.cart()),
        line("Неоплачене до цього часу перейде наступному в черзі."),
    ];
    (format!("{number} заброньовано: {show}"), format!("{show}: {number} тримаємо для вас{until}."), blocks)
}

fn reservation_expired(show: &ToldShow, links: &Links) -> Sheet {
    let blocks = vec![
        line("Час на оплату ваших місць минув, і вони знову в продажу:"),
        card(Uk, show),
        Block::Button("Подивитися, що лишилося".to_owned(), links.show(show)),
    ];
    let subject = format!("Час бронювання минув: {}", name(show));
    (subject.clone(), format!("{subject}."), blocks)
}

fn order_paid(order: &ToldOrder, is_attached: bool, links: &Links) -> Sheet {
    let mut blocks = vec![line(if is_attached {
        "Дякуємо! Замовлення оплачено, квитки додано до листа. Покажіть їх на вході на папері або на телефоні."
    } else {
        "Дякуємо! Замовлення оплачено. Квитки — на його сторінці. Покажіть їх на вході на папері або на телефоні."
    })];
    blocks.extend(ordered(Uk, order));
    blocks.push(Block::Sum("Сплачено".to_owned(), money(Uk, &order.total)));
    blocks.push(Block::Button("Ваше замовлення".to_owned(), links.order(order.id)));
    let short = format!("{}: оплачено, {}. Гарного вечора!", names(order), money(Uk, &order.total));
    (format!("Ваші квитки: {}", names(order)), short, blocks)
}

fn order_expired(order: &ToldOrder) -> Sheet {
    let mut blocks = vec![line("Замовлення не оплачено вчасно, тож його місця знову в продажу:")];
    blocks.extend(ordered(Uk, order));
    blocks.push(line("Якщо гроші все ж списано, вони повернуться самі."));
    let subject = format!("Замовлення не оплачено вчасно: {}", names(order));
    (subject.clone(), format!("{subject}."), blocks)
}

fn refunded(order: &ToldOrder, amount: &Money) -> Sheet {
    let amount = money(Uk, amount);
    let mut blocks = vec![line(format!(
        "Повертаємо вам {amount} тим самим способом, яким ви платили. Банку може знадобитися кілька днів."
    ))];
    blocks.extend(order.shows.iter().map(|show| card(Uk, show)));
    blocks.push(Block::Sum("Замовлення".to_owned(), order.id.to_string()));
    (
        format!("Повертаємо {amount}: {}", names(order)),
        format!("Повертаємо вам {amount}: {}.", names(order)),
        blocks,
    )
}

fn event_changed(show: &ToldShow, links: &Links) -> Sheet {
    let blocks = vec![
        line("Подія, на яку у вас є місця, змінилася. Тепер так:"),
        card(Uk, show),
        line("Ваші квитки дійсні."),
        Block::Button("До події".to_owned(), links.show(show)),
    ];
    let subject = format!("Зміни: {}", name(show));
    (subject.clone(), format!("{subject}. Ваші квитки дійсні."), blocks)
}

fn event_cancelled(show: &ToldShow) -> Sheet {
    let blocks = vec![
        line("На жаль, ця подія не відбудеться."),
        card(Uk, show),
        line("Сплачене за неї повернеться саме; робити нічого не треба."),
    ];
    let subject = format!("Скасовано: {}", name(show));
    (subject.clone(), format!("{subject}. Гроші повернуться самі."), blocks)
}

fn place_removed(show: &ToldShow, place: &str) -> Sheet {
    let blocks = vec![
        line(format!("На жаль, одне з ваших місць довелося прибрати із зали: {place}.")),
        card(Uk, show),
        line("Якщо ви за нього заплатили, гроші повернуться самі."),
    ];
    let subject = format!("Ваше місце прибрано: {}", name(show));
    (subject.clone(), format!("{subject}, {place}."), blocks)
}

fn refund_failed(refund: &ToldRefund, links: &Links) -> Sheet {
    let amount = money(Uk, &refund.amount);
    let blocks = vec![
        line(format!("Повернення {amount} остаточно не вдалося і чекає на людину.")),
        Block::Sum("Повернення".to_owned(), refund.id.to_string()),
        Block::Sum("Замовлення".to_owned(), refund.order.to_string()),
        Block::Button("Адміністрування".to_owned(), links.operator()),
    ];
    (format!("Повернення не вдалося: {amount}"), format!("Повернення {amount} чекає на людину."), blocks)
}

fn payment_differs(difference: &ToldDifference, links: &Links) -> Sheet {
    let what = match difference.kind.as_str() {
        "partly_charged_back" => {
            "Банк платника забрав частину сплаченого. Квитки ще дійсні: вирішіть, що з ними робити."
        }
        "dispute_won" => {
            "Банк платника вирішив на користь продавця, і гроші знову в нього. Квитки тоді скасовано: вирішіть, чи повернути гроші платникові (повернення вже чекає на це), чи видати квитки наново."
        }
        "refunded_there" => {
            "Частину сплаченого повернено у платіжного провайдера, а не через Usher. Квитки ще дійсні: поверніть місця, за які її віддано; вдруге ці гроші не надсилаються."
        }
        _ => "Платіж у провайдера не такий, як тут.",
    };
    let mut blocks = vec![line(what), Block::Sum("Платіж".to_owned(), one_line(&difference.reference))];
    if let Some(order) = difference.order {
        blocks.push(Block::Sum("Замовлення".to_owned(), order.to_string()));
    }
    blocks.push(Block::Sum("Тут".to_owned(), one_line(&difference.ours)));
    blocks.push(Block::Sum("Там".to_owned(), one_line(&difference.theirs)));
    blocks.push(Block::Button("Адміністрування".to_owned(), links.operator()));
    let provider = &difference.provider;
    let short = format!("Платіж у {provider} там не такий, як тут, і чекає на людину.");
    (format!("Платіж у {provider} чекає на рішення"), short, blocks)
}
