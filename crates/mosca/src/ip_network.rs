//! Ranges of IP addresses, written as `192.0.2.0/24`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// All IP addresses that begin with the same bits.
///
/// ```
/// use mosca::IpNetwork;
///
/// let network: IpNetwork = "192.0.2.0/24".parse().unwrap();
/// assert!(network.contains("192.0.2.7".parse().unwrap()));
/// assert!(!network.contains("192.0.3.7".parse().unwrap()));
/// // An address alone is a network of one.
/// assert_eq!("::1".parse::<IpNetwork>().unwrap().to_string(), "::1/128");
/// assert!("192.0.2.0/33".parse::<IpNetwork>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpNetwork {
    address: IpAddr,
    bits: u8,
}

/// A text is no [`IpNetwork`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a network of IP addresses such as 192.0.2.0/24, 2001:db8::/32 or 192.0.2.7")]
pub struct IpNetworkError;

impl IpNetwork {
    /// The addresses whose first `bits` are those of `address`; what stands behind them is ignored.
    ///
    /// # Errors
    /// If an address has not so many bits: 32 for IPv4, 128 for IPv6.
    pub fn new(address: IpAddr, bits: u8) -> Result<Self, IpNetworkError> {
        if bits > width(address) {
            return Err(IpNetworkError);
        }
        let address = masked(address, bits);
        Ok(Self { address, bits })
    }

    /// All addresses of this machine alone: 127.0.0.0/8 and ::1.
    pub fn loopback() -> [Self; 2] {
        [
            Self {
                address: Ipv4Addr::new(127, 0, 0, 0).into(),
                bits: 8,
            },
            Self {
                address: Ipv6Addr::LOCALHOST.into(),
                bits: 128,
            },
        ]
    }

    /// Whether `address` is one of them. An IPv4 address that IPv6 has mapped (`::ffff:192.0.2.7`) is the
    /// IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.bits) == self.address
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    let bits = u32::from(bits);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0);
            Ipv4Addr::from(u32::from(address) & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0);
            Ipv6Addr::from(u128::from(address) & mask).into()
        }
    }
}

impl FromStr for IpNetwork {
    type Err = IpNetworkError;

    fn from_str(text: &str) -> Result<Self, IpNetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| IpNetworkError)?;
        let bits = match bits {
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(|_| IpNetworkError)?
            }
            Some(_) => return Err(IpNetworkError),
            None => width(address),
        };
        Self::new(address, bits)
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> IpNetwork {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_its_first_and_its_last_address_and_not_their_neighbours() {
        for (text, inside, outside) in [
            (
                "10.1.2.3/8",
                ["10.0.0.0", "10.255.255.255"],
                ["9.255.255.255", "11.0.0.0"],
            ),
            (
                "192.0.2.128/25",
                ["192.0.2.128", "192.0.2.255"],
                ["192.0.2.127", "192.0.3.0"],
            ),
            (
                "192.0.2.7",
                ["192.0.2.7", "::ffff:192.0.2.7"],
                ["192.0.2.6", "::192.0.2.7"],
            ),
            (
                "2001:db8::/33",
                ["2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"],
                ["2001:db8:8000::", "2001:db7:ffff::"],
            ),
            ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::", "::1"]),
            ("::/0", ["::", "ffff::"], ["1.2.3.4", "::ffff:1.2.3.4"]),
        ] {
            let network = network(text);
            for address in inside {
                assert!(
                    network.contains(address.parse().unwrap()),
                    "{text} {address}"
                );
            }
            for address in outside {
                assert!(
                    !network.contains(address.parse().unwrap()),
                    "{text} {address}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_network_is_an_error() {
        for text in [
            "",
            "/",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "::/129",
            "10.0.0.0/8/8",
            "host",
            "10.0.0/8",
            "::1/999",
        ] {
            assert_eq!(text.parse::<IpNetwork>(), Err(IpNetworkError), "{text:?}");
        }
        assert_eq!(network("10.1.2.3/8").to_string(), "10.0.0.0/8");
        assert_eq!(network("10.1.2.3/8"), network("10.0.0.0/8"));
    }
}
