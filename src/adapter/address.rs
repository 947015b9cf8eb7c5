//! Which addresses this server connects to: a pure filter over what a name resolved to.
//!
//! Invariant: an IPv6 address that carries an IPv4 address (mapped, compatible, translated, NAT64, 6to4) is judged by
//! the address it carries, so no spelling reaches what the plain one may not. What is not known to be public is
//! refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What an address is, as far as connecting to it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressClass {
    Public,
    Loopback,
    /// RFC 1918, carrier-grade NAT, unique local IPv6.
    Private,
    LinkLocal,
    /// Where a cloud hands out its machines' credentials.
    Metadata,
    Unspecified,
    Multicast,
    Broadcast,
    /// Documentation, benchmarking, tunnels, not assigned.
    Reserved,
}

impl AddressClass {
    /// In words for a message; says nothing about the address itself.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Metadata => "cloud metadata",
            Self::Unspecified => "unspecified",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Reserved => "reserved",
        }
    }
}

/// How far a call may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    PublicOnly,
    /// Also loopback and private networks: for runtimes in the operator's own network.
    PrivateToo,
}

impl Reach {
    #[must_use]
    pub const fn admits(self, class: AddressClass) -> bool {
        match class {
            AddressClass::Public => true,
            AddressClass::Loopback | AddressClass::Private => matches!(self, Self::PrivateToo),
            AddressClass::LinkLocal
            | AddressClass::Metadata
            | AddressClass::Unspecified
            | AddressClass::Multicast
            | AddressClass::Broadcast
            | AddressClass::Reserved => false,
        }
    }
}

/// The first matching line decides, so exceptions stand before the range they are taken from.
const V4: &[(Ipv4Net, AddressClass)] = &[
    (v4([169, 254, 169, 254], 32), AddressClass::Metadata),
    (v4([169, 254, 170, 0], 24), AddressClass::Metadata), // AWS ECS tasks and EKS pods
    (v4([100, 100, 100, 200], 32), AddressClass::Metadata), // Alibaba Cloud
    (v4([168, 63, 129, 16], 32), AddressClass::Metadata), // Azure
    (v4([192, 0, 0, 192], 32), AddressClass::Metadata),   // Oracle Cloud
    (v4([0, 0, 0, 0], 32), AddressClass::Unspecified),
    (v4([0, 0, 0, 0], 8), AddressClass::Reserved),
    (v4([10, 0, 0, 0], 8), AddressClass::Private),
    (v4([100, 64, 0, 0], 10), AddressClass::Private),
    (v4([127, 0, 0, 0], 8), AddressClass::Loopback),
    (v4([169, 254, 0, 0], 16), AddressClass::LinkLocal),
    (v4([172, 16, 0, 0], 12), AddressClass::Private),
    (v4([192, 0, 0, 0], 24), AddressClass::Reserved),
    (v4([192, 0, 2, 0], 24), AddressClass::Reserved),
    (v4([192, 88, 99, 0], 24), AddressClass::Reserved),
    (v4([192, 168, 0, 0], 16), AddressClass::Private),
    (v4([198, 18, 0, 0], 15), AddressClass::Reserved),
    (v4([198, 51, 100, 0], 24), AddressClass::Reserved),
    (v4([203, 0, 113, 0], 24), AddressClass::Reserved),
    (v4([224, 0, 0, 0], 4), AddressClass::Multicast),
    (v4([255, 255, 255, 255], 32), AddressClass::Broadcast),
    (v4([240, 0, 0, 0], 4), AddressClass::Reserved),
];

const V6: &[(Ipv6Net, AddressClass)] = &[
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), AddressClass::Unspecified),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), AddressClass::Loopback),
    (v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0], 32), AddressClass::Metadata), // AWS
    (v6([0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0], 32), AddressClass::Metadata), // Google Cloud
    (v6([0xfd00, 0x00c1, 0, 0, 0, 0, 0, 0], 32), AddressClass::Metadata), // Oracle Cloud
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), AddressClass::Private),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), AddressClass::LinkLocal),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), AddressClass::Multicast),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), AddressClass::Reserved), // Teredo, ORCHID and other protocol use
    (v6([0x2001, 0x0db8, 0, 0, 0, 0, 0, 0], 32), AddressClass::Reserved),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), AddressClass::Reserved),
    (v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3), AddressClass::Public),
];

/// Prefixes whose last 32 bits are an IPv4 address.
const CARRIERS: &[Ipv6Net] = &[
    v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96),      // mapped
    v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96),      // translated (RFC 2765)
    v6([0x0064, 0xff9b, 0, 0, 0, 0, 0, 0], 96), // NAT64
    v6([0, 0, 0, 0, 0, 0, 0, 0], 96),           // compatible, deprecated
];

/// 6to4: the IPv4 address follows the first 16 bits.
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);

const fn v4(octets: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::from_octets(octets), length)
}

const fn v6(segments: [u16; 8], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::from_segments(segments), length)
}

/// What `address` is.
#[must_use]
pub fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    V4.iter().find(|(net, _)| net.contains(&address)).map_or(AddressClass::Public, |(_, class)| *class)
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    if !address.is_unspecified()
        && !address.is_loopback()
        && let Some(carried) = carried(address)
    {
        return classify_v4(carried);
    }
    V6.iter().find(|(net, _)| net.contains(&address)).map_or(AddressClass::Reserved, |(_, class)| *class)
}

fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if SIX_TO_FOUR.contains(&address) {
        let [_, _, a, b, c, d, ..] = address.octets();
        return Some(Ipv4Addr::new(a, b, c, d));
    }
    let [.., a, b, c, d] = address.octets();
    CARRIERS.iter().any(|net| net.contains(&address)).then(|| Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests;
