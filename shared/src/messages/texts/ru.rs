//! Messages in Russian.

use super::Language::Ru;
use super::letter::{Block, Letter};
use super::parts::{Sheet, card, name, names, ordered, places, total};
use super::words::{clock, count, date, money, one_line, plural, sums};
use crate::domain::Money;
use crate::messages::about::{About, AccountField, CodePurpose, Links};
use crate::store::{ToldCart, ToldChange, ToldDifference, ToldOrder, ToldRefund, ToldShow};

const PLACES: [&str; 3] = ["место", "места", "мест"];
const MINUTES: [&str; 3] = ["минуту", "минуты", "минут"];

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
    let greeting = if person.is_empty() {
        "Здравствуйте!".to_owned()
    } else {
        format!("Здравствуйте, {person}!")
    };
    Letter {
        language: "ru",
        subject,
        short,
        blocks: std::iter::once(Block::Line(greeting)).chain(blocks).collect(),
        footer: "Usher пишет вам о том, что вы бронируете и покупаете. Этот ящик не читают, не отвечайте на письмо."
            .to_owned(),
    }
}

fn line(text: impl Into<String>) -> Block {
    Block::Line(text.into())
}

fn code(purpose: CodePurpose, digits: &str, minutes: u32) -> Sheet {
    let what = match purpose {
        CodePurpose::Email => "чтобы подтвердить новый адрес электронной почты",
        CodePurpose::Phone => "чтобы подтвердить новый номер телефона",
        CodePurpose::Login => "чтобы подтвердить новый логин",
        CodePurpose::Password => "чтобы задать новый пароль",
        CodePurpose::Verify => "чтобы подтвердить, что этот адрес электронной почты ваш",
        CodePurpose::Other => "чтобы подтвердить свой запрос",
    };
    let good_for = count(Ru, minutes as usize, MINUTES);
    let blocks = vec![
        line(format!("Введите этот код, {what}:")),
        Block::Code(digits.to_owned()),
        line(format!("Код действует {good_for}. Никому его не говорите: мы никогда о нём не спрашиваем.")),
        line("Если код запросили не вы, ничего не делайте: без кода ничего не изменится."),
    ];
    let short = format!("{digits} — ваш код Usher. Действует {good_for}. Никому его не говорите.");
    ("Ваш код".to_owned(), short, blocks)
}

fn account_changed(field: AccountField, change: &ToldChange, links: &Links) -> Sheet {
    let (what, now) = match field {
        AccountField::Email => ("Адрес электронной почты вашей учётной записи изменён", "Новый адрес"),
        AccountField::Phone => ("Номер телефона вашей учётной записи изменён", "Новый номер"),
        AccountField::Login => ("Логин вашей учётной записи изменён", "Новый логин"),
        AccountField::Password => ("Пароль вашей учётной записи изменён", ""),
    };
    let mut blocks = vec![line(format!("{what}.")), Block::Sum("Когда".to_owned(), date(Ru, &change.at))];
    blocks.extend(change.hint.iter().map(|hint| Block::Sum(now.to_owned(), one_line(hint))));
    blocks.push(line("Если это были вы, делать ничего не нужно."));
    if field == AccountField::Email {
        blocks.push(line(
            "Если это были не вы, вашей учётной записью владеет кто-то другой: сразу сообщите тому, кто продал вам билеты. \
             Сообщения об учётной записи теперь приходят на новый адрес.",
        ));
    } else {
        blocks.push(line("Если это были не вы, сразу задайте новый пароль: тогда все входы завершатся."));
        blocks.push(Block::Button("Задать новый пароль".to_owned(), links.password()));
    }
    (what.to_owned(), format!("{what}. Если это были не вы, действуйте сразу."), blocks)
}

fn seats_reserved(cart: &ToldCart, links: &Links) -> Sheet {
    let (show, number) = (name(&cart.show), count(Ru, cart.places.len(), PLACES));
    let until = cart.until.as_ref().map_or_else(String::new, |until| format!(" до {}", clock(until)));
    let blocks = vec![
        line(format!("В вашей корзине {number}, держим для вас{until}:")),
        card(Ru, &cart.show),
        places(Ru, cart, ("ряд", "место")),
        Block::Sum("Итого".to_owned(), sums(Ru, &total(cart))),
        Block::Button("Оплатить".to_owned(), links.cart()),
        line("Неоплаченное к этому времени перейдёт следующему в очереди."),
    ];
    let reserved = plural(Ru, cart.places.len(), ["забронировано", "забронированы", "забронировано"]);
    (format!("{number} {reserved}: {show}"), format!("{show}: {number} держим для вас{until}."), blocks)
}

fn reservation_expired(show: &ToldShow, links: &Links) -> Sheet {
    let blocks = vec![
        line("Время на оплату ваших мест вышло, и они снова в продаже:"),
        card(Ru, show),
        Block::Button("Посмотреть, что осталось".to_owned(), links.show(show)),
    ];
    let subject = format!("Время брони вышло: {}", name(show));
    (subject.clone(), format!("{subject}."), blocks)
}

fn order_paid(order: &ToldOrder, is_attached: bool, links: &Links) -> Sheet {
    let mut blocks = vec![line(if is_attached {
        "Спасибо! Заказ оплачен, билеты приложены к письму. Покажите их на входе на бумаге или на телефоне."
    } else {
        "Спасибо! Заказ оплачен. Билеты — на его странице. Покажите их на входе на бумаге или на телефоне."
    })];
    blocks.extend(ordered(Ru, order));
    blocks.push(Block::Sum("Оплачено".to_owned(), money(Ru, &order.total)));
    blocks.push(Block::Button("Ваш заказ".to_owned(), links.order(order.id)));
    let short = format!("{}: оплачено, {}. Хорошего вечера!", names(order), money(Ru, &order.total));
    (format!("Ваши билеты: {}", names(order)), short, blocks)
}

fn order_expired(order: &ToldOrder) -> Sheet {
    let mut blocks = vec![line("Заказ не оплачен вовремя, и его места снова в продаже:")];
    blocks.extend(ordered(Ru, order));
    blocks.push(line("Если деньги всё же списаны, они вернутся сами."));
    let subject = format!("Заказ не оплачен вовремя: {}", names(order));
    (subject.clone(), format!("{subject}."), blocks)
}

fn refunded(order: &ToldOrder, amount: &Money) -> Sheet {
    let amount = money(Ru, amount);
    let mut blocks = vec![line(format!(
        "Возвращаем вам {amount} тем же способом, каким вы платили. Банку может понадобиться несколько дней."
    ))];
    blocks.extend(order.shows.iter().map(|show| card(Ru, show)));
    blocks.push(Block::Sum("Заказ".to_owned(), order.id.to_string()));
    (
        format!("Возвращаем {amount}: {}", names(order)),
        format!("Возвращаем вам {amount}: {}.", names(order)),
        blocks,
    )
}

fn event_changed(show: &ToldShow, links: &Links) -> Sheet {
    let blocks = vec![
        line("Мероприятие, на которое у вас есть места, изменилось. Теперь так:"),
        card(Ru, show),
        line("Ваши билеты действительны."),
        Block::Button("К мероприятию".to_owned(), links.show(show)),
    ];
    let subject = format!("Изменения: {}", name(show));
    (subject.clone(), format!("{subject}. Ваши билеты действительны."), blocks)
}

fn event_cancelled(show: &ToldShow) -> Sheet {
    let blocks = vec![
        line("К сожалению, это мероприятие не состоится."),
        card(Ru, show),
        line("Уплаченное за него вернётся само; делать ничего не нужно."),
    ];
    let subject = format!("Отменено: {}", name(show));
    (subject.clone(), format!("{subject}. Деньги вернутся сами."), blocks)
}

fn place_removed(show: &ToldShow, place: &str) -> Sheet {
    let blocks = vec![
        line(format!("К сожалению, одно из ваших мест пришлось убрать из зала: {place}.")),
        card(Ru, show),
        line("Если вы за него заплатили, деньги вернутся сами."),
    ];
    let subject = format!("Ваше место убрано: {}", name(show));
    (subject.clone(), format!("{subject}, {place}."), blocks)
}

fn refund_failed(refund: &ToldRefund, links: &Links) -> Sheet {
    let amount = money(Ru, &refund.amount);
    let blocks = vec![
        line(format!("Возврат {amount} окончательно не удался и ждёт человека.")),
        Block::Sum("Возврат".to_owned(), refund.id.to_string()),
        Block::Sum("Заказ".to_owned(), refund.order.to_string()),
        Block::Button("Администрирование".to_owned(), links.operator()),
    ];
    (format!("Возврат не удался: {amount}"), format!("Возврат {amount} ждёт человека."), blocks)
}

fn payment_differs(difference: &ToldDifference, links: &Links) -> Sheet {
    let what = match difference.kind.as_str() {
        "partly_charged_back" => {
            "Банк плательщика забрал часть уплаченного. Билеты ещё действительны: решите, что с ними делать."
        }
        "dispute_won" => {
            "Банк плательщика решил в пользу продавца, и деньги снова у него. Билеты тогда были отменены: решите, вернуть ли деньги плательщику (возврат уже ждёт этого) или выдать билеты заново."
        }
        "refunded_there" => {
            "Часть уплаченного возвращена у платёжного провайдера, а не через Usher. Билеты ещё действительны: верните места, за которые она отдана; второй раз эти деньги не отправляются."
        }
        _ => "Платёж у провайдера не такой, как здесь.",
    };
    let mut blocks = vec![line(what), Block::Sum("Платёж".to_owned(), one_line(&difference.reference))];
    if let Some(order) = difference.order {
        blocks.push(Block::Sum("Заказ".to_owned(), order.to_string()));
    }
    blocks.push(Block::Sum("Здесь".to_owned(), one_line(&difference.ours)));
    blocks.push(Block::Sum("Там".to_owned(), one_line(&difference.theirs)));
    blocks.push(Block::Button("Администрирование".to_owned(), links.operator()));
    let provider = &difference.provider;
    let short = format!("Платёж у {provider} там не такой, как здесь, и ждёт человека.");
    (format!("Платёж у {provider} ждёт решения"), short, blocks)
}
