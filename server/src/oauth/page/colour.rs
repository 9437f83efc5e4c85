//! The colour of a tenant's pages, with the contrast that WCAG 2.2 (1.4.3) asks for, whatever colour it is.

/// The colour of a tenant that chose none.
const OURS: Colour = Colour([0x0b, 0x5c, 0x8a]);
/// What pages lie on, light and dark; the worse of page and sheet for text in the tenant's colour.
const LIGHT: Colour = Colour([0xf4, 0xf5, 0xf7]);
const DARK: Colour = Colour([0x1d, 0x22, 0x29]);
const WHITE: Colour = Colour([0xff, 0xff, 0xff]);
const BLACK: Colour = Colour([0, 0, 0]);
/// The least contrast of text.
const ENOUGH: f64 = 4.5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Colour([u8; 3]);

/// The custom properties of a tenant's colour, as the beginning of a style sheet.
pub fn properties(setting: Option<&str>) -> String {
    let brand = setting.and_then(Colour::parse).unwrap_or(OURS);
    // Of black and white one has a contrast of at least 4.58 to any colour.
    let on = if brand.contrast(WHITE) >= brand.contrast(BLACK) { WHITE } else { BLACK };
    let accent = brand.until_legible(LIGHT, BLACK);
    let dark = brand.until_legible(DARK, WHITE);
    format!(
        ":root {{ --brand: {}; --on-brand: {}; --accent: {}; --accent-dark: {}; }}\n",
        brand.text(),
        on.text(),
        accent.text(),
        dark.text()
    )
}

impl Colour {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
        // A sign would be read as part of a number.
        let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        plain.then_some(Self([part(0)?, part(2)?, part(4)?]))
    }

    fn text(self) -> String {
        let [red, green, blue] = self.0;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(self) -> f64 {
        let linear = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// The colour itself, or as little of `towards` mixed in as makes it legible on `ground`.
    fn until_legible(self, ground: Self, towards: Self) -> Self {
        let mut colour = self;
        for _ in 0..255 {
            if colour.contrast(ground) >= ENOUGH {
                break;
            }
            for (part, aim) in colour.0.iter_mut().zip(towards.0) {
                *part = if *part < aim { part.saturating_add(4).min(aim) } else { part.saturating_sub(4).max(aim) };
            }
        }
        colour
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_is_legible() {
        for red in (0..=255).step_by(17) {
            for green in (0..=255).step_by(17) {
                for blue in (0..=255).step_by(17) {
                    let brand = Colour([red, green, blue]);
                    assert!(brand.contrast(WHITE).max(brand.contrast(BLACK)) >= ENOUGH, "{}", brand.text());
                    let accent = brand.until_legible(LIGHT, BLACK);
                    assert!(accent.contrast(LIGHT) >= ENOUGH, "{} as {}", brand.text(), accent.text());
                    let dark = brand.until_legible(DARK, WHITE);
                    assert!(dark.contrast(DARK) >= ENOUGH, "{} as {}", brand.text(), dark.text());
                }
            }
        }
    }

    #[test]
    fn what_is_no_colour_is_ours() {
        for text in ["", "red", "#fff", "#12345g", "#+12345", "#0b5fff; } body { display: none", "#0b5fffé"] {
            assert_eq!(properties(Some(text)), properties(None), "{text}");
        }
        assert!(properties(Some("#FFD700")).starts_with(":root { --brand: #ffd700; --on-brand: #000000;"));
    }
}
