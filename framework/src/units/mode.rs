//! Who may use a file, as chmod(1) says it: `"0640"`.

use std::borrow::Cow;
use std::fmt;
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The permissions of the files that something makes: octal, at most `"0777"`. The default is `"0600"`: their owner alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileMode(u32);

impl Default for FileMode {
    fn default() -> Self {
        Self(0o600)
    }
}

impl FileMode {
    /// The permission bits of a file.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Those of a folder of such files: who may read them may enter it.
    pub const fn folder_bits(self) -> u32 {
        self.0 | (self.0 & 0o444) >> 2
    }

    /// Opens a file as `options` say, and makes it with these permissions, whatever the umask is, when it is missing. One that
    /// exists keeps its own.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open(self, options: &OpenOptions, path: &Path) -> io::Result<File> {
        match options.clone().create_new(true).mode(self.0).open(path) {
            Ok(file) => {
                // A file system without permissions has nothing to set.
                let _ = file.set_permissions(Permissions::from_mode(self.0));
                Ok(file)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl FromStr for FileMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let octal = (3..=4).contains(&text.len()) && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        let bits = u32::from_str_radix(text, 8).ok().filter(|bits| octal && *bits <= 0o777);
        match bits {
            Some(bits) if bits & 0o600 == 0o600 => Ok(Self(bits)),
            Some(_) => Err(format!(
                "`{text}` would keep its owner from reading and writing: begin with 6 or 7, as in \"0640\""
            )),
            None => Err(format!("`{text}` is no file mode: use octal digits such as \"0640\"")),
        }
    }
}

impl<'de> Deserialize<'de> for FileMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl Serialize for FileMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for FileMode {
    fn schema_name() -> Cow<'static, str> {
        "FileMode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^0?[67][0-7]{2}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_and_their_owner_can_always_use_them() {
        assert_eq!("0640".parse::<FileMode>().unwrap().bits(), 0o640);
        assert_eq!("640".parse::<FileMode>().unwrap().folder_bits(), 0o750);
        assert_eq!(FileMode::default().to_string(), "0600");
        for wrong in ["", "0o640", "640 ", "0888", "1777", "0440", "rw-r-----", "+640"] {
            assert!(wrong.parse::<FileMode>().is_err(), "{wrong}");
        }
    }
}
