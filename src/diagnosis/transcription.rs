//! The server that transcribes voice notes: it transcribes one.

use bytes::Bytes;

use super::finding::Finding;
use crate::ai::Transcriber;
use crate::app::{App, Number};

pub(super) const NAME: &str = "transcription";

const REMEDY: &str = "check MYNAH_TRANSCRIPTION_BASE_URL, MYNAH_TRANSCRIPTION_API_KEY and MYNAH_TRANSCRIPTION_MODEL, or set \
                      MYNAH_TRANSCRIPTION_MODEL=off";

/// Has half a second of silence transcribed.
pub(super) async fn check(app: &App, offline: bool) -> Vec<Finding> {
    let Some(transcriber) = &app.transcriber else { return Vec::new() };
    let mut findings = Vec::new();
    let lacks = |number: &&Number| number.channel.is_some() && app.transcriber_of(number).is_none();
    for number in app.numbers.iter().filter(lacks) {
        let found = "voice notes are not transcribed here: this number has a model of its own";
        let remedy = "set MYNAH_TRANSCRIPTION_BASE_URL or MYNAH_TRANSCRIPTION_API_KEY";
        findings.push(Finding::skipped(NAME, found).with_remedy(remedy).of_number(app.name_if_several(number)));
    }
    findings.push(if offline {
        Finding::skipped(NAME, "configured, not called (--offline)")
    } else {
        match transcribe_silence(transcriber).await {
            Ok(found) => Finding::ok(NAME, found),
            Err(why) => Finding::of_fault(NAME, &why, REMEDY),
        }
    });
    findings
}

async fn transcribe_silence(transcriber: &Transcriber) -> Result<String, String> {
    let why = |fault: crate::fault::Fault| fault.why().to_owned();
    let found = transcriber.check().await.map_err(why)?;
    transcriber.transcribe("silence.wav", "audio/wav", silence()).await.map_err(why)?;
    Ok(format!("{found}; a test recording was transcribed"))
}

/// Returns half a second of silence as a WAV file: 16 bits, 16 kHz, one channel.
fn silence() -> Bytes {
    const RATE: u32 = 16_000;
    const DATA_BYTES: u32 = RATE;
    let mut file = Vec::with_capacity(44 + DATA_BYTES as usize);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + DATA_BYTES).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16_u32.to_le_bytes());
    // PCM, one channel.
    file.extend_from_slice(&[1, 0, 1, 0]);
    file.extend_from_slice(&RATE.to_le_bytes());
    file.extend_from_slice(&(RATE * 2).to_le_bytes());
    // Two bytes for each sample, 16 bits.
    file.extend_from_slice(&[2, 0, 16, 0]);
    file.extend_from_slice(b"data");
    file.extend_from_slice(&DATA_BYTES.to_le_bytes());
    file.resize(44 + DATA_BYTES as usize, 0);
    file.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recording_is_half_a_second_of_silence() {
        let file = silence();
        let size = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!((&file[..4], &file[8..16], &file[36..40]), (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..]));
        assert_eq!((size(4), size(40)), (file.len() - 8, file.len() - 44));
        assert_eq!(size(40) * 2, size(28), "half of a second's bytes");
    }
}
