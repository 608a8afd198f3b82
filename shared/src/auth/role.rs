//! What people and services may do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Buys.
    Shopper,
    /// Runs queues.
    Operator,
    /// Runs everything.
    Admin,
    /// Checks tickets at the door.
    Scanner,
}

impl Role {
    /// As stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Shopper => "shopper",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Scanner => "scanner",
        }
    }

    /// Reads what [`Self::word`] wrote; anything else may do no more than a shopper.
    pub fn from_word(word: &str) -> Self {
        match word {
            "operator" => Self::Operator,
            "admin" => Self::Admin,
            "scanner" => Self::Scanner,
            _ => Self::Shopper,
        }
    }

    /// May pause, resume and look into queues.
    pub fn may_operate(self) -> bool {
        matches!(self, Self::Operator | Self::Admin)
    }
}

/// One thing that a service's key permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Read what the service itself has; every key may.
    Read,
    /// Take places in lines, and change carts and orders.
    Book,
    /// Do so in the name of somebody else.
    Users,
    /// Check tickets at the door.
    Scan,
    /// What operators do.
    Operate,
    /// What admins do.
    Admin,
}

impl Scope {
    /// Every one.
    pub const ALL: [Self; 6] = [Self::Read, Self::Book, Self::Users, Self::Scan, Self::Operate, Self::Admin];

    /// As stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Book => "book",
            Self::Users => "users",
            Self::Scan => "scan",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Book => 2,
            Self::Users => 4,
            Self::Scan => 8,
            Self::Operate => 16,
            Self::Admin => 32,
        }
    }
}

/// What a service's key permits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// These.
    pub fn of(scopes: &[Scope]) -> Self {
        Self(scopes.iter().fold(0, |bits, scope| bits | scope.bit()))
    }

    /// Reads what [`Scope::word`] wrote; unknown words permit nothing.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let known = |word| Scope::ALL.into_iter().find(|scope| scope.word() == word);
        Self::of(&words.into_iter().filter_map(known).collect::<Vec<_>>())
    }

    /// Whether this is permitted.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// All that is permitted.
    pub fn list(self) -> Vec<Scope> {
        Scope::ALL.into_iter().filter(|scope| self.has(*scope)).collect()
    }

    /// The role whose work the key does.
    pub fn role(self) -> Role {
        if self.has(Scope::Admin) {
            Role::Admin
        } else if self.has(Scope::Operate) {
            Role::Operator
        } else if self.has(Scope::Scan) {
            Role::Scanner
        } else {
            Role::Shopper
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_they_were_written() {
        let scopes = Scopes::of(&[Scope::Book, Scope::Users]);
        let words: Vec<&str> = scopes.list().into_iter().map(Scope::word).collect();
        assert_eq!(Scopes::from_words(words), scopes);
        assert!(!scopes.has(Scope::Admin) && scopes.has(Scope::Users));
        assert_eq!(Scopes::from_words(["book", "no such scope"]), Scopes::of(&[Scope::Book]));
        assert_eq!((scopes.role(), Scopes::of(&[Scope::Admin]).role()), (Role::Shopper, Role::Admin));
    }
}
