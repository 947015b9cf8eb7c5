use super::*;
use AddressClass::{Broadcast, LinkLocal, Loopback, Metadata, Multicast, Private, Public, Reserved, Unspecified};

/// Address, what it is.
const MATRIX: &[(&str, AddressClass)] = &[
    // Metadata services.
    ("169.254.169.254", Metadata),
    ("169.254.170.2", Metadata),
    ("169.254.170.23", Metadata),
    ("100.100.100.200", Metadata),
    ("168.63.129.16", Metadata),
    ("192.0.0.192", Metadata),
    ("fd00:ec2::254", Metadata),
    ("fd00:ec2::23", Metadata),
    ("fd20:ce::254", Metadata),
    ("fd00:c1::a9fe:a9fe", Metadata),
    // The same through IPv6 that carries IPv4.
    ("::ffff:169.254.169.254", Metadata),
    ("::ffff:a9fe:a9fe", Metadata),
    ("::ffff:0:169.254.169.254", Metadata),
    ("::169.254.169.254", Metadata),
    ("64:ff9b::169.254.169.254", Metadata),
    ("64:ff9b::6464:64c8", Metadata),
    ("2002:a9fe:a9fe::", Metadata),
    ("2002:a9fe:a9fe:1:2:3:4:5", Metadata),
    ("::ffff:100.100.100.200", Metadata),
    // Link-local.
    ("169.254.0.1", LinkLocal),
    ("169.254.169.253", LinkLocal),
    ("169.254.255.255", LinkLocal),
    ("fe80::1", LinkLocal),
    ("febf:ffff::1", LinkLocal),
    ("::ffff:169.254.1.1", LinkLocal),
    ("64:ff9b::169.254.1.1", LinkLocal),
    // Unspecified and "this network".
    ("0.0.0.0", Unspecified),
    ("::", Unspecified),
    ("::ffff:0.0.0.0", Unspecified),
    ("64:ff9b::", Unspecified),
    ("0.0.0.1", Reserved),
    ("0.255.255.255", Reserved),
    // Multicast and broadcast.
    ("224.0.0.1", Multicast),
    ("239.255.255.250", Multicast),
    ("255.255.255.255", Broadcast),
    ("ff02::1", Multicast),
    ("ff0e::1", Multicast),
    ("::ffff:255.255.255.255", Broadcast),
    ("::ffff:224.0.0.1", Multicast),
    // Reserved, documentation, benchmarking, tunnels.
    ("192.0.0.1", Reserved),
    ("192.0.2.1", Reserved),
    ("192.88.99.1", Reserved),
    ("198.18.0.1", Reserved),
    ("198.19.255.255", Reserved),
    ("198.51.100.7", Reserved),
    ("203.0.113.9", Reserved),
    ("240.0.0.1", Reserved),
    ("255.255.255.254", Reserved),
    ("2001:db8::1", Reserved),
    ("3fff::1", Reserved),
    ("100::1", Reserved),
    ("2001:0:53aa:64c::1", Reserved),
    ("2001:10::1", Reserved),
    ("2001:20::1", Reserved),
    ("5f00::1", Reserved),
    ("fec0::1", Reserved),
    ("64:ff9b:1::a00:1", Reserved),
    ("4000::1", Reserved),
    ("e000::1", Reserved),
    // Loopback.
    ("127.0.0.1", Loopback),
    ("127.255.255.254", Loopback),
    ("::1", Loopback),
    ("::ffff:127.0.0.1", Loopback),
    ("::127.0.0.1", Loopback),
    ("64:ff9b::7f00:1", Loopback),
    ("2002:7f00:1::", Loopback),
    // Private.
    ("10.0.0.1", Private),
    ("10.255.255.255", Private),
    ("172.16.0.1", Private),
    ("172.31.255.255", Private),
    ("192.168.0.1", Private),
    ("192.168.255.255", Private),
    ("100.64.0.1", Private),
    ("100.127.255.255", Private),
    ("fc00::1", Private),
    ("fd12:3456:789a::1", Private),
    ("::ffff:10.0.0.1", Private),
    ("64:ff9b::a00:1", Private),
    ("2002:c0a8:1::1", Private),
    // Public, and the neighbours of the ranges above.
    ("1.1.1.1", Public),
    ("9.255.255.255", Public),
    ("11.0.0.0", Public),
    ("100.63.255.255", Public),
    ("100.128.0.0", Public),
    ("126.255.255.255", Public),
    ("128.0.0.0", Public),
    ("169.253.255.255", Public),
    ("169.255.0.0", Public),
    ("172.15.255.255", Public),
    ("172.32.0.0", Public),
    ("192.167.255.255", Public),
    ("192.169.0.0", Public),
    ("198.17.255.255", Public),
    ("198.20.0.0", Public),
    ("223.255.255.255", Public),
    ("2606:4700:4700::1111", Public),
    ("2a00:1450::1", Public),
    ("::ffff:8.8.8.8", Public),
    ("64:ff9b::808:808", Public),
    ("2002:808:808::1", Public),
];

#[test]
fn every_address_of_the_matrix_is_what_it_is() {
    assert!(MATRIX.len() >= 100);
    for (address, class) in MATRIX {
        assert_eq!(classify(address.parse().unwrap()), *class, "{address}");
    }
}

#[test]
fn only_public_addresses_are_reached_and_private_ones_on_request() {
    for (address, class) in MATRIX {
        let class_found = classify(address.parse().unwrap());
        let public = *class == Public;
        let inside = matches!(class, Loopback | Private);
        assert_eq!(Reach::PublicOnly.admits(class_found), public, "{address}");
        assert_eq!(Reach::PrivateToo.admits(class_found), public || inside, "{address}");
    }
}

#[test]
fn other_spellings_of_a_literal_address_are_the_same_address() {
    for spelling in ["2852039166", "0xA9FEA9FE", "0251.0376.0251.0376", "169.254.43518", "0xa9.254.0251.254"] {
        let url = url::Url::parse(&format!("http://{spelling}/")).unwrap();
        let Some(url::Host::Ipv4(address)) = url.host() else { panic!("{spelling} is not an address") };
        assert_eq!(classify(address.into()), Metadata, "{spelling}");
    }
}
