//! How many connections come from one address.
//!
//! Checked when a connection is accepted, before a byte of it is read. An IPv6 address is counted with
//! the /64 that its holder has whole, an IPv4 address alone, whichever way it is written. Loopback has
//! nearly all: behind a proxy on this machine everybody is there.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The connections of one listener, by address.
#[derive(Debug)]
pub(super) struct Addresses {
    each: usize,
    loopback: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection. Dropping it gives its place back.
#[derive(Debug)]
pub(super) struct Connected {
    all: Arc<Addresses>,
    from: IpAddr,
}

impl Addresses {
    /// At most `each` from one address, of `all` together.
    pub(super) fn new(each: usize, all: usize) -> Self {
        Self {
            each,
            loopback: each.max(all.saturating_sub(all / 64)),
            open: Mutex::default(),
        }
    }

    /// One more from `from`; `None` if there are as many as there may be.
    pub(super) fn connect(self: &Arc<Self>, from: IpAddr) -> Option<Connected> {
        let from = holder(from);
        let most = if from.is_loopback() {
            self.loopback
        } else {
            self.each
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let present = open.get(&from).copied().unwrap_or_default();
        if present >= most {
            return None;
        }
        open.insert(from, present + 1);
        drop(open);
        Some(Connected {
            all: Arc::clone(self),
            from,
        })
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut open = self.all.open.lock().unwrap_or_else(PoisonError::into_inner);
        let present = open.get(&self.from).copied().unwrap_or_default();
        if present > 1 {
            open.insert(self.from, present - 1);
        } else {
            open.remove(&self.from);
        }
    }
}

/// What is counted together with an address.
fn holder(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let network = u128::from(v6) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_holder_has_its_share_and_gets_it_back() {
        let addresses = Arc::new(Addresses::new(2, 8));
        let connect = |text: &str| addresses.connect(text.parse().unwrap());
        for (first, second, other) in [
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"),
        ] {
            let held = (connect(first).unwrap(), connect(second).unwrap());
            assert!(connect(first).is_none(), "{first}");
            assert!(connect(second).is_none(), "{second}");
            assert!(connect(other).is_some(), "{other}");
            drop(held.0);
            assert!(connect(second).is_some());
        }
        assert!(addresses.open.lock().unwrap().is_empty());
    }

    #[test]
    fn loopback_has_nearly_all_of_the_room() {
        let addresses = Arc::new(Addresses::new(2, 128));
        for text in ["127.0.0.1", "::1"] {
            let from = text.parse().unwrap();
            let held: Vec<_> = (0..129).map_while(|_| addresses.connect(from)).collect();
            assert_eq!(held.len(), 126, "{text}");
        }
    }
}
