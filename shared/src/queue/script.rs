//! Calling Lua scripts, and reading their word-first replies.

use redis::{FromRedisValue as _, Value};

use super::client::{Queue, QueueError};

/// A reply: a word and what follows it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) word: String,
    rest: std::vec::IntoIter<Value>,
}

impl Reply {
    /// The next part.
    pub(super) fn next<T: redis::FromRedisValue>(&mut self) -> Result<T, QueueError> {
        let value = self.rest.next().ok_or(QueueError::Reply("the reply ends early"))?;
        T::from_redis_value(value).map_err(|_| QueueError::Reply("a part of the reply has another type"))
    }

    /// How many parts are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Every part that is left.
    pub(super) fn rest<T: redis::FromRedisValue>(mut self) -> Result<Vec<T>, QueueError> {
        (0..self.left()).map(|_| self.next()).collect()
    }

    /// A word that the caller does not know.
    pub(super) fn unknown(&self) -> QueueError {
        QueueError::Word(self.word.clone())
    }
}

/// Calls a script: keys and arguments in the order of its header.
pub(super) async fn call(
    queue: &Queue,
    script: &redis::Script,
    keys: &[String],
    args: &[Vec<u8>],
) -> Result<Reply, QueueError> {
    let mut invocation = script.prepare_invoke();
    for key in keys {
        invocation.key(key);
    }
    for arg in args {
        invocation.arg(arg.as_slice());
    }
    let reply: Value = invocation.invoke_async(&mut queue.connection()).await?;
    let Value::Array(parts) = reply else {
        return Err(QueueError::Reply("the reply is not an array"));
    };
    let mut rest = parts.into_iter();
    let word = rest.next().ok_or(QueueError::Reply("the reply is empty"))?;
    let word = String::from_redis_value(word).map_err(|_| QueueError::Reply("the reply has no word"))?;
    Ok(Reply { word, rest })
}

/// An argument, as bytes.
pub(super) fn arg(value: impl ToString) -> Vec<u8> {
    value.to_string().into_bytes()
}

macro_rules! script {
    ($name:literal) => {{
        static SCRIPT: std::sync::LazyLock<redis::Script> =
            std::sync::LazyLock::new(|| redis::Script::new(include_str!(concat!("lua/", $name, ".lua"))));
        &*SCRIPT
    }};
}
pub(super) use script;
