//! Backups that are encrypted with age.

use std::io::{self, Read, Write};

use age::x25519::Recipient;
use anyhow::{Context, Result};

/// Writes to a backup file, encrypted or not.
pub(super) enum Output<W: Write> {
    Plain(W),
    Encrypted(Box<age::stream::StreamWriter<W>>),
}

impl<W: Write> Output<W> {
    /// Encrypts for the recipients, if there are any.
    pub(super) fn new(target: W, recipients: &[Recipient]) -> Result<Output<W>> {
        if recipients.is_empty() {
            return Ok(Output::Plain(target));
        }
        let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).context("the backup cannot be encrypted")?;
        Ok(Output::Encrypted(Box::new(encryptor.wrap_output(target).context("the backup cannot be encrypted")?)))
    }

    /// Ends the encryption. Without this, the file counts as cut off.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Output::Plain(target) => Ok(target),
            Output::Encrypted(writer) => writer.finish(),
        }
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Plain(target) => target.write(bytes),
            Output::Encrypted(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Plain(target) => target.flush(),
            Output::Encrypted(writer) => writer.flush(),
        }
    }
}

/// Reads from a backup file, encrypted or not.
pub(super) enum Input<R: Read> {
    Plain(R),
    Encrypted(Box<age::stream::StreamReader<R>>),
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Input::Plain(source) => source.read(buffer),
            Input::Encrypted(reader) => reader.read(buffer),
        }
    }
}
