//! A file that is sent with a message.

use super::FileHash;

/// The longest caption that WhatsApp shows below an image or a video, in UTF-16 units (Meta, "Image messages").
const MAX_CAPTION_UNITS: usize = 1024;

/// A stored file and what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// The hash that names it.
    pub hash: FileHash,
    /// Its media type from its content, such as `image/jpeg`.
    pub media_type: String,
    /// Its name, which the contact may see.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
}

impl Media {
    /// Returns whether the text is shown with the file, which is the case below an image or a video. With a document or
    /// an audio file Twilio drops it (Twilio, "Guidance on WhatsApp media messages").
    pub fn shows_caption(&self, text: &str) -> bool {
        let seen = self.media_type.starts_with("image/") || self.media_type.starts_with("video/");
        seen && text.encode_utf16().count() <= MAX_CAPTION_UNITS
    }

    /// Returns the text that stands for the file in the history.
    pub fn history_text(&self) -> String {
        let what = match self.media_type.split('/').next() {
            Some("image") => "an image",
            Some("video") => "a video",
            Some("audio") => "an audio file",
            _ if self.media_type == "text/vcard" => "a contact card",
            _ => "a document",
        };
        format!("[sent {what}: {}]", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caption_is_shown_below_what_is_seen() {
        let media = |media_type: &str| Media {
            hash: FileHash::new([0; 32]),
            media_type: media_type.into(),
            name: "a.b".into(),
            size: 1,
        };
        for (media_type, shows, history) in [
            ("image/png", true, "[sent an image: a.b]"),
            ("video/mp4", true, "[sent a video: a.b]"),
            ("audio/ogg", false, "[sent an audio file: a.b]"),
            ("application/pdf", false, "[sent a document: a.b]"),
            ("text/vcard", false, "[sent a contact card: a.b]"),
        ] {
            let media = media(media_type);
            assert_eq!((media.shows_caption("Hello"), media.history_text().as_str()), (shows, history));
            assert_eq!(
                (media.shows_caption(&"x".repeat(1024)), media.shows_caption(&"x".repeat(1025))),
                (shows, false)
            );
        }
    }
}
