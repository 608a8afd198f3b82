//! Calling Lua scripts, and reading their word-first replies.

use redis::{Cmd, ErrorKind, FromRedisValue as _, ServerErrorKind, ToRedisArgs, Value};

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

/// A call of a script, written as it is put together: keys first, then arguments, in the order of its header.
pub(super) struct Call {
    script: &'static redis::Script,
    cmd: Cmd,
}

impl Call {
    pub(super) fn new<K: ToRedisArgs>(script: &'static redis::Script, keys: &[K]) -> Self {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(script.get_hash()).arg(keys.len()).arg(keys);
        Self { script, cmd }
    }

    /// Adds an argument.
    pub(super) fn arg(&mut self, value: impl ToRedisArgs) -> &mut Self {
        self.cmd.arg(value);
        self
    }

    /// Makes the call; a server that does not know the script is told it first.
    pub(super) async fn send(&self, queue: &Queue) -> Result<Reply, QueueError> {
        let mut connection = queue.connection();
        let mut answer = self.cmd.query_async::<Value>(&mut connection).await;
        if answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)) {
            self.script.load_async(&mut connection).await?;
            answer = self.cmd.query_async(&mut connection).await;
        }
        let Value::Array(parts) = answer? else {
            return Err(QueueError::Reply("the reply is not an array"));
        };
        let mut rest = parts.into_iter();
        let word = rest.next().ok_or(QueueError::Reply("the reply is empty"))?;
        let word = String::from_redis_value(word).map_err(|_| QueueError::Reply("the reply has no word"))?;
        Ok(Reply { word, rest })
    }
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
