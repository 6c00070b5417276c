//! ISO 3166-1 alpha-2 country codes.

use rapport_types::error::FieldError;
use rapport_types::reason;

use super::text::refuse;

/// Two letters each, in order. `XK` is not of the standard but in every use.
const CODES: &str = "ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCLCM\
CNCOCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHKHMHNHRHTHUIDIEILIMIN\
IOIQIRISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENF\
NGNINLNONPNRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTFTGTHTJTKTL\
TMTNTOTRTTTVTWTZUAUGUMUSUYUZVAVCVEVGVIVNVUWFWSXKYEYTZAZMZW";

/// A country code, or empty. Lower case is raised.
///
/// # Errors
/// `UNKNOWN_COUNTRY` when the standard has no such code.
pub fn parse(value: &str) -> Result<String, FieldError> {
    if value.is_empty() {
        return Ok(String::new());
    }
    let raised = value.to_ascii_uppercase();
    let known = raised.len() == 2 && CODES.as_bytes().chunks_exact(2).any(|code| code == raised.as_bytes());
    if known {
        Ok(raised)
    } else {
        refuse(reason::UNKNOWN_COUNTRY, "must be a country code of ISO 3166-1 alpha-2 such as BR")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_whole() {
        let codes: Vec<_> = CODES.as_bytes().chunks_exact(2).collect();
        assert!(codes.is_sorted());
        assert_eq!(codes.len(), 250);
        assert_eq!(parse("br"), Ok("BR".to_owned()));
        assert!(parse("UK").is_err());
        assert!(parse("É").is_err());
        assert!(parse("B").is_err());
    }
}
