//! The one thing that is read of a certificate: until when it holds. The rest the client has judged already.
//!
//! A certificate is DER (ITU-T X.690): each value is a tag, a length, and so many bytes. RFC 5280, section 4.1, says
//! what stands where.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which older certificates leave out.
const VERSION: u8 = 0xa0;

/// Until when a certificate holds; none if these bytes are none.
pub(super) fn holds_until(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = value(der).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, mut rest, _) = value(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    if value(rest)?.0 == VERSION {
        rest = value(rest)?.2;
    }
    // The serial number, the signature's algorithm, the issuer.
    for _ in 0..3 {
        rest = value(rest)?.2;
    }
    let (_, validity, _) = value(rest).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, _, end) = value(validity)?;
    let (tag, text, _) = value(end)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

/// The first value: its tag, its bytes, and what stands behind it.
fn value(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest
            .split_at_checked(usize::from(first & 0x7f))
            .filter(|(bytes, _)| bytes.len() <= 4)?;
        let length = bytes
            .iter()
            .fold(0, |length, byte| (length << 8) | usize::from(*byte));
        (length, rest)
    };
    let (bytes, behind) = rest.split_at_checked(length)?;
    Some((tag, bytes, behind))
}

/// `YYMMDDHHMMSSZ` until 2049, `YYYYMMDDHHMMSSZ` from then on.
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z')?;
    let text = match tag {
        // RFC 5280: years below 50 are of this century.
        UTC_TIME if text.len() == 12 && text < "50" => format!("20{text}"),
        UTC_TIME if text.len() == 12 => format!("19{text}"),
        GENERALIZED_TIME if text.len() == 14 => text.to_owned(),
        _ => return None,
    };
    let moment = DateTime::strptime("%Y%m%d%H%M%S", text).ok()?;
    TimeZone::UTC.to_timestamp(moment).ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// A certificate for bridge.example.com that holds until 2031-12-24 23:59:58, in base64.
    const UNTIL_2031: &str = "MIIBLTCB1aADAgECAgkAq1SpjOsfCtIwCgYIKoZIzj0EAwIwHTEbMBkGA1UEAwwSYnJpZGdlLmV4YW1wbGUuY29tMB4XDTI2MDEw\
        MTAwMDAwMFoXDTMxMTIyNDIzNTk1OFowHTEbMBkGA1UEAwwSYnJpZGdlLmV4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0D\
        AQcDQgAEdtjxSHmm7/bV4vqQBJ0HhwE5aqQB932zU7NnuCDIfPKBmSweh10HIpIYFKC/k3KK4KbIhgHDS7dA4A1cON9VYjAKBggq\
        hkjOPQQDAgNHADBEAiBriF/IUv8z7g79vpoatuEeUb6WdUkvlezNEnbJChEP2gIgULPB4LdQdEF2rDggW2kfypVo5hpHdoNOXi2l\
        QoF+mSk=";
    /// The same until 2077-01-02 03:04:05, which is written the other way.
    const UNTIL_2077: &str = "MIIBMDCB16ADAgECAgkAq1SpjOsfCtIwCgYIKoZIzj0EAwIwHTEbMBkGA1UEAwwSYnJpZGdlLmV4YW1wbGUuY29tMCAXDTI2MDEw\
        MTAwMDAwMFoYDzIwNzcwMTAyMDMwNDA1WjAdMRswGQYDVQQDDBJicmlkZ2UuZXhhbXBsZS5jb20wWTATBgcqhkjOPQIBBggqhkjO\
        PQMBBwNCAAS5EbIc+KqCjZuBbz8oua6SHg6Fvhl3wTXRPZjH9QQJsEm9w9nL+zDRaLuNAFz3kI9ih0g8YU8WDPNuoPbBKvtYMAoG\
        CCqGSM49BAMCA0gAMEUCIQCr4v+HM3wJ2MImq1imx0HA+b+g0SFdM34/HWcmRWI53gIgQWlh9qYuyIqFanZa6R0wf33jucv3DsG/\
        4jQd6i+SF7A=";

    #[test]
    fn both_ways_to_write_a_year_are_read() {
        for (text, until) in [
            (UNTIL_2031, "2031-12-24T23:59:58Z"),
            (UNTIL_2077, "2077-01-02T03:04:05Z"),
        ] {
            let der = STANDARD.decode(text).unwrap();
            assert_eq!(holds_until(&der).unwrap().to_string(), until);
        }
    }

    #[test]
    fn whatever_the_bytes_are_nothing_breaks() {
        let der = STANDARD.decode(UNTIL_2031).unwrap();
        for length in 0..der.len() {
            assert_eq!(holds_until(&der[..length]), None, "{length}");
        }
        assert_eq!(holds_until(b"\x30\x84\xff\xff\xff\xff"), None);
        assert_eq!(
            time(UTC_TIME, "311224235958Z").unwrap().to_string(),
            "2031-12-24T23:59:58Z"
        );
        assert_eq!(
            time(UTC_TIME, "991224235958Z").unwrap().to_string(),
            "1999-12-24T23:59:58Z"
        );
    }
}
