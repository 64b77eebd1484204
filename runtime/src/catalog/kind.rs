//! What a file is, by its first bytes: nobody's word for it, and no parser that could be fooled into work.

use crate::RuntimeKind;

/// How many bytes [`Kind::of`] looks at.
pub(super) const HEAD_BYTES: usize = 20;

/// What a file seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An executable or shared object for this machine, which runs as a process.
    Executable,
    /// A WebAssembly component.
    Component,
    /// Something that is no plugin; the text completes "the file is …".
    Other(&'static str),
}

impl Kind {
    /// Judges a file by its first [`HEAD_BYTES`] bytes, or all of them if there are fewer.
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [0x7f, b'E', b'L', b'F', rest @ ..] => elf(rest),
            // After the magic: the version as 16 bits, then the layer: 0 for core modules, 1 for components.
            [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Self::Component,
            [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {
                Self::Other("a core WebAssembly module and not a component")
            }
            [0, b'a', b's', b'm', ..] => Self::Other("WebAssembly of an unknown version"),
            [b'#', b'!', ..] => Self::Other("a script"),
            [b'(', ..] => Self::Other("text, perhaps WebAssembly in its text form"),
            [0x1f, 0x8b, ..] => Self::Other("compressed with gzip"),
            _ => Self::Other("of an unknown kind"),
        }
    }

    /// How files of this kind run, or what they are instead.
    pub(super) fn runtime(self) -> Result<RuntimeKind, &'static str> {
        match self {
            Self::Executable => Ok(RuntimeKind::Native),
            Self::Component => Ok(RuntimeKind::Wasm),
            Self::Other(what) => Err(what),
        }
    }
}

/// Judges an ELF header by what follows its magic (System V ABI, "ELF Header").
fn elf(rest: &[u8]) -> Kind {
    const CLASS_64: u8 = 2;
    const LITTLE_ENDIAN: u8 = 1;
    const EXECUTABLE: u16 = 2;
    const SHARED_OBJECT: u16 = 3;
    let Some(header) = rest.get(..16) else {
        return Kind::Other("an ELF file cut short");
    };
    if (header[0], header[1]) != (CLASS_64, LITTLE_ENDIAN) {
        return Kind::Other("an ELF file for another kind of machine");
    }
    let kind = u16::from_le_bytes([header[12], header[13]]);
    let machine = u16::from_le_bytes([header[14], header[15]]);
    match kind {
        _ if Some(machine) != this_machine() => Kind::Other("an ELF file for another processor"),
        EXECUTABLE | SHARED_OBJECT => Kind::Executable,
        _ => Kind::Other("an ELF file that is no executable"),
    }
}

/// The machine number of ELF files that run here.
fn this_machine() -> Option<u16> {
    match std::env::consts::ARCH {
        "x86_64" => Some(62),
        "aarch64" => Some(183),
        "riscv64" => Some(243),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf_of(kind: u8, machine: u16) -> Vec<u8> {
        let mut head = vec![0; HEAD_BYTES];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[16] = kind;
        head[18..20].copy_from_slice(&machine.to_le_bytes());
        head
    }

    #[test]
    fn the_running_test_itself_is_an_executable() {
        let mut head = [0; HEAD_BYTES];
        let mut me = std::fs::File::open("/proc/self/exe").expect("a process can read itself");
        std::io::Read::read_exact(&mut me, &mut head).expect("an executable has a header");
        assert_eq!(Kind::of(&head), Kind::Executable);
    }

    #[test]
    fn an_elf_file_for_another_processor_or_purpose_is_refused() {
        let here = this_machine().expect("tests run on a known machine");
        assert_eq!(Kind::of(&elf_of(2, here)), Kind::Executable);
        assert!(Kind::of(&elf_of(4, here)).runtime().is_err());
        assert!(Kind::of(&elf_of(2, here + 1)).runtime().is_err());
    }

    #[test]
    fn a_core_module_is_told_apart_from_a_component() {
        assert_eq!(
            Kind::of(b"\0asm\x0d\0\x01\0").runtime(),
            Ok(RuntimeKind::Wasm)
        );
        let found = Kind::of(b"\0asm\x01\0\0\0").runtime().unwrap_err();
        assert!(found.contains("core WebAssembly module"));
    }

    #[test]
    fn whatever_else_a_file_is_has_a_name() {
        let others: [&[u8]; 8] = [
            b"",
            b"\x7fELF",
            b"#!/bin/sh\n",
            b"(component)",
            b"\x1f\x8b\x08",
            b"\0asm",
            b"\0asm\xff\xff\xff\xff",
            b"hello",
        ];
        for other in others {
            assert!(Kind::of(other).runtime().is_err(), "{other:?}");
        }
    }
}
