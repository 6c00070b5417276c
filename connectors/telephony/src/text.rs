//! Texts that are safe wherever a dial plan puts them.

/// One line that means nothing to Asterisk's parsers nor to a shell that a dial plan may hand it to. Names are what
/// people wrote about themselves, and a dial plan does with a variable what it likes: so of ASCII only letters, digits
/// and a few marks stay, and of the rest everything that has a shape.
pub(crate) fn clean(text: &str, most: usize) -> String {
    let mut line = String::with_capacity(text.len().min(most * 4));
    let mut count = 0;
    let mut gap = false;
    for letter in text.chars() {
        let letter = match letter {
            '\'' | '`' => '’',
            '&' => '+',
            letter => letter,
        };
        if !stays(letter) {
            gap = count > 0;
            continue;
        }
        if count + usize::from(gap) >= most {
            break;
        }
        if gap {
            line.push(' ');
            count += 1;
            gap = false;
        }
        line.push(letter);
        count += 1;
    }
    line
}

fn stays(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_alphanumeric() || ".-_+@/:".contains(letter);
    }
    let invisible = matches!(u32::from(letter),
        0x00AD | 0x061C | 0x180E | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xFFF9..=0xFFFB
        | 0xE0000..=0xE0FFF);
    !invisible && !letter.is_control() && !letter.is_whitespace()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn nothing_gets_through_that_a_parser_reads() {
        for (text, line) in [
            ("Ana  Silva", "Ana Silva"),
            ("O'Brien & Sons, Ltd.", "O’Brien + Sons Ltd."),
            ("a\r\nSET VARIABLE X \"1\"", "a SET VARIABLE X 1"),
            ("$(reboot) `x` ${SHELL(x)} %0a ;|<>\\", "reboot ’x’ SHELL x 0a"),
            ("Zoë Łukasz 田中 नमस्ते", "Zoë Łukasz 田中 नमस्ते"),
            ("\u{202e}gnp.exe\u{200b}", "gnp.exe"),
            ("", ""),
            ("  ", ""),
        ] {
            assert_eq!(clean(text, 80), line, "{text:?}");
        }
        assert_eq!(clean("abc def", 4), "abc");
        assert_eq!(clean(&"ñ".repeat(200), 80).chars().count(), 80);
    }
}
