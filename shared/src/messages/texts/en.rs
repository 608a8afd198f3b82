//! Messages in English.

use super::Language::En;
use super::letter::{Block, Letter};
use super::parts::{Sheet, card, name, names, ordered, places, total};
use super::words::{clock, count, date, money, one_line, sums};
use crate::domain::Money;
use crate::messages::about::{About, AccountField, CodePurpose, Links};
use crate::store::{ToldCart, ToldChange, ToldDifference, ToldOrder, ToldRefund, ToldShow};

const PLACES: [&str; 3] = ["place", "places", "places"];
const MINUTES: [&str; 3] = ["minute", "minutes", "minutes"];

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
    let greeting = if person.is_empty() { "Hello!".to_owned() } else { format!("Hello {person},") };
    Letter {
        language: "en",
        subject,
        short,
        blocks: std::iter::once(Block::Line(greeting)).chain(blocks).collect(),
        footer:
            "Usher writes to you about what you book and buy. This address is not read; please do not answer."
                .to_owned(),
    }
}

fn line(text: impl Into<String>) -> Block {
    Block::Line(text.into())
}

fn code(purpose: CodePurpose, digits: &str, minutes: u32) -> Sheet {
    let what = match purpose {
        CodePurpose::Email => "to confirm your new e-mail address",
        CodePurpose::Phone => "to confirm your new phone number",
        CodePurpose::Login => "to confirm your new login name",
        CodePurpose::Password => "to set a new password",
        CodePurpose::Verify => "to confirm that this e-mail address is yours",
        CodePurpose::Other => "to confirm what you asked for",
    };
    let good_for = count(En, minutes as usize, MINUTES);
    let blocks = vec![
        line(format!("Enter this code {what}:")),
        Block::Code(digits.to_owned()),
        line(format!("It is good for {good_for}. Tell it to nobody; we never ask for it.")),
        line("If it was not you who asked for it, do nothing: without the code nothing changes."),
    ];
    let short = format!("{digits} is your Usher code. It is good for {good_for}. Tell it to nobody.");
    ("Your code".to_owned(), short, blocks)
}

fn account_changed(field: AccountField, change: &ToldChange, links: &Links) -> Sheet {
    let (what, now) = match field {
        AccountField::Email => ("The e-mail address of your account was changed", "New address"),
        AccountField::Phone => ("The phone number of your account was changed", "New number"),
        AccountField::Login => ("The login name of your account was changed", "New login name"),
        AccountField::Password => ("The password of your account was changed", ""),
    };
    let mut blocks = vec![line(format!("{what}.")), Block::Sum("When".to_owned(), date(En, &change.at))];
    blocks.extend(change.hint.iter().map(|hint| Block::Sum(now.to_owned(), one_line(hint))));
    blocks.push(line("If it was you, there is nothing to do."));
    if field == AccountField::Email {
        blocks.push(line(
            "If it was not you, somebody else has your account: tell whoever sold you your tickets at once. Messages about \
             your account go to the new address from now on.",
        ));
    } else {
        blocks.push(line("If it was not you, set a new password at once. That signs everybody out."));
        blocks.push(Block::Button("Set a new password".to_owned(), links.password()));
    }
    (what.to_owned(), format!("{what}. If it was not you, act at once."), blocks)
}

fn seats_reserved(cart: &ToldCart, links: &Links) -> Sheet {
    let (show, number) = (name(&cart.show), count(En, cart.places.len(), PLACES));
    let until = cart.until.as_ref().map_or_else(String::new, |until| format!(" until {}", clock(until)));
    let blocks = vec![
        line(format!("You have {number} in your cart, held for you{until}:")),
        card(En, &cart.show),
        places(En, cart, ("row", "seat")),
        Block::Sum("Total".to_owned(), sums(En, &total(cart))),
        Block::Button("Pay now".to_owned(), links.cart()),
        line("What is not paid by then goes to the next in line."),
    ];
    (format!("{number} reserved: {show}"), format!("{show}: {number} held for you{until}."), blocks)
}

fn reservation_expired(show: &ToldShow, links: &Links) -> Sheet {
    let blocks = vec![
        line("The time to pay for your places has run out, and they are on sale again:"),
        card(En, show),
        Block::Button("See what is left".to_owned(), links.show(show)),
    ];
    let subject = format!("Your reservation has run out: {}", name(show));
    (subject.clone(), format!("{subject}."), blocks)
}

fn order_paid(order: &ToldOrder, is_attached: bool, links: &Links) -> Sheet {
    let mut blocks = vec![line(if is_attached {
        "Thank you! Your order is paid, and your tickets are attached. Show them at the door, on paper or on a phone."
    } else {
        "Thank you! Your order is paid. You find your tickets on its page. Show them at the door, on paper or on a phone."
    })];
    blocks.extend(ordered(En, order));
    blocks.push(Block::Sum("Paid".to_owned(), money(En, &order.total)));
    blocks.push(Block::Button("Your order".to_owned(), links.order(order.id)));
    let short = format!("{}: paid, {}. Enjoy the show!", names(order), money(En, &order.total));
    (format!("Your tickets: {}", names(order)), short, blocks)
}

fn order_expired(order: &ToldOrder) -> Sheet {
    let mut blocks = vec![line("Your order was not paid in time, so its places are on sale again:")];
    blocks.extend(ordered(En, order));
    blocks.push(line("If money was taken all the same, it comes back to you by itself."));
    let subject = format!("Your order was not paid in time: {}", names(order));
    (subject.clone(), format!("{subject}."), blocks)
}

fn refunded(order: &ToldOrder, amount: &Money) -> Sheet {
    let amount = money(En, amount);
    let mut blocks = vec![line(format!(
        "We are giving {amount} back to you, the way you paid. Your bank may take some days."
    ))];
    blocks.extend(order.shows.iter().map(|show| card(En, show)));
    blocks.push(Block::Sum("Order".to_owned(), order.id.to_string()));
    (
        format!("{amount} back: {}", names(order)),
        format!("{amount} goes back to you: {}.", names(order)),
        blocks,
    )
}

fn event_changed(show: &ToldShow, links: &Links) -> Sheet {
    let blocks = vec![
        line("An event that you have places at has changed. This is how it stands now:"),
        card(En, show),
        line("Your tickets stay good."),
        Block::Button("To the event".to_owned(), links.show(show)),
    ];
    let subject = format!("Changed: {}", name(show));
    (subject.clone(), format!("{subject}. Your tickets stay good."), blocks)
}

fn event_cancelled(show: &ToldShow) -> Sheet {
    let blocks = vec![
        line("We are sorry: this event does not take place."),
        card(En, show),
        line("What you paid for it comes back to you by itself; you need not do anything."),
    ];
    let subject = format!("Cancelled: {}", name(show));
    (subject.clone(), format!("{subject}. Your money comes back by itself."), blocks)
}

fn place_removed(show: &ToldShow, place: &str) -> Sheet {
    let blocks = vec![
        line(format!("We are sorry: a place of yours had to be taken out of the hall: {place}.")),
        card(En, show),
        line("If you have paid for it, the money comes back to you by itself."),
    ];
    let subject = format!("A place of yours was removed: {}", name(show));
    (subject.clone(), format!("{subject}, {place}."), blocks)
}

fn refund_failed(refund: &ToldRefund, links: &Links) -> Sheet {
    let amount = money(En, &refund.amount);
    let blocks = vec![
        line(format!("A refund of {amount} has failed for good and waits for a person.")),
        Block::Sum("Refund".to_owned(), refund.id.to_string()),
        Block::Sum("Order".to_owned(), refund.order.to_string()),
        Block::Button("Administration".to_owned(), links.operator()),
    ];
    (format!("A refund has failed: {amount}"), format!("A refund of {amount} waits for a person."), blocks)
}

fn payment_differs(difference: &ToldDifference, links: &Links) -> Sheet {
    let what = match difference.kind.as_str() {
        "partly_charged_back" => {
            "The payer's bank has taken back a part of what was paid. The tickets are good still: decide what becomes of them."
        }
        "dispute_won" => {
            "The payer's bank has decided for the shop, which has the money again. The tickets were revoked then: decide whether the money goes back to the payer (a refund waits for that) or tickets are made anew."
        }
        "refunded_there" => {
            "A part of what was paid was given back at the provider's, not by Usher. The tickets are good still: give back the places that it was for; what went back is not sent again."
        }
        _ => "A payment is not the same at the provider's as here.",
    };
    let mut blocks = vec![line(what), Block::Sum("Payment".to_owned(), one_line(&difference.reference))];
    if let Some(order) = difference.order {
        blocks.push(Block::Sum("Order".to_owned(), order.to_string()));
    }
    blocks.push(Block::Sum("Here".to_owned(), one_line(&difference.ours)));
    blocks.push(Block::Sum("There".to_owned(), one_line(&difference.theirs)));
    blocks.push(Block::Button("Administration".to_owned(), links.operator()));
    let provider = &difference.provider;
    let short = format!("A payment at {provider} is not the same there as here and waits for a person.");
    (format!("A payment at {provider} waits for a decision"), short, blocks)
}
