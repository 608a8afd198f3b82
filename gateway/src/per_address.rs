//! How many of something each address holds: connections, sockets.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::limits::counted;

/// What addresses hold; clones share the counts.
#[derive(Clone, Default)]
pub struct PerAddress(Arc<Mutex<HashMap<IpAddr, u32>>>);

/// One that an address holds; given back when dropped.
pub struct Held {
    counts: PerAddress,
    ip: IpAddr,
}

impl PerAddress {
    /// Lets an address hold one more; `None` when it holds `most` already.
    pub fn take(&self, ip: IpAddr, most: u32) -> Option<Held> {
        let ip = counted(ip);
        let mut counts = self.0.lock();
        let count = counts.entry(ip).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Held { counts: self.clone(), ip })
    }

    /// How many are held by all of them.
    pub fn total(&self) -> usize {
        self.0.lock().values().map(|count| *count as usize).sum()
    }
}

impl Held {
    /// Whose it is; of IPv6 the network.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock();
        if let Some(count) = counts.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_so_many_and_what_it_gives_back_is_forgotten() {
        let sockets = PerAddress::default();
        let [one, same, other]: [IpAddr; 3] =
            ["2001:db8:1:2::1", "2001:db8:1:2::9", "203.0.113.7"].map(|ip| ip.parse().expect("ip"));
        let held = [sockets.take(one, 2), sockets.take(same, 2)];
        assert!(held.iter().all(Option::is_some) && sockets.take(one, 2).is_none());
        assert!(sockets.take(other, 2).is_some(), "and is given back at once");
        assert_eq!(sockets.total(), 2);
        drop(held);
        assert!(sockets.0.lock().is_empty(), "nobody is remembered who holds nothing");
    }
}
