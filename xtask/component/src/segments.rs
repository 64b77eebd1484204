//! Joins data segments that lie close together: the memory of an interpreter, as it was when the component was built, comes
//! in so many of them that no host takes it.

use std::cmp::Reverse;

use anyhow::{Result, ensure};
use wasm_encoder::{ConstExpr, DataSection, Encode, RawSection, Section, SectionId};
use wasmparser::{BinaryReader, Data, DataKind, DataSectionReader, Operator, Parser};

/// A module with no more is left as it is. Hosts take 1,000 from all modules together in the profile `ordinary`.
const SEGMENTS_MAX: usize = 500;

/// What stands before the first section: `\0asm`, the version and the layer.
const HEADER_BYTES: usize = 8;

/// The sections of a component that hold a module and a component.
const INNER_MODULE: u8 = 1;
pub(crate) const INNER_COMPONENT: u8 = 4;

/// The component with the segments of its modules joined where they are too many. Everything else stays byte for byte,
/// and memory begins as it did.
///
/// # Errors
///
/// When it is cut off somewhere.
pub(crate) fn joined(component: &[u8]) -> Result<Vec<u8>> {
    rewritten(component, |id, content| match id {
        INNER_MODULE => module(content).map(Some),
        INNER_COMPONENT => joined(content).map(Some),
        _ => Ok(None),
    })
}

fn module(bytes: &[u8]) -> Result<Vec<u8>> {
    let Some(pieces) = pieces(bytes)? else {
        return Ok(bytes.to_vec());
    };
    let data = data_section(&pieces, &boundaries(&pieces));
    rewritten(bytes, |id, _| {
        Ok((id == SectionId::Data as u8).then(|| content(&data)))
    })
}

/// What stands in memory from the beginning.
struct Piece<'a> {
    start: usize,
    data: &'a [u8],
}

impl Piece<'_> {
    fn end(&self) -> usize {
        self.start + self.data.len()
    }
}

/// The pieces of a module that has too many, one behind the other. None when there is nothing to join or it would not be
/// safe: code names segments by their numbers where a section says how many there are.
fn pieces(module: &[u8]) -> Result<Option<Vec<Piece<'_>>>> {
    let mut data = None;
    for section in sections(module)? {
        match section? {
            (id, _) if id == SectionId::DataCount as u8 => return Ok(None),
            (id, content) if id == SectionId::Data as u8 => data = Some(content),
            _ => {}
        }
    }
    let Some(data) = data else { return Ok(None) };
    let segments = DataSectionReader::new(BinaryReader::new(data, 0))?;
    let pieces: Option<Vec<_>> = segments.into_iter().map(|it| piece(it.ok()?)).collect();
    Ok(pieces.filter(|them| them.len() > SEGMENTS_MAX && are_in_order(them)))
}

/// A segment of the first memory at a place that is known already.
fn piece(segment: Data<'_>) -> Option<Piece<'_>> {
    let DataKind::Active {
        memory_index: 0,
        offset_expr,
    } = segment.kind
    else {
        return None;
    };
    let mut place = offset_expr.get_operators_reader();
    let (Ok(Operator::I32Const { value }), Ok(Operator::End)) = (place.read(), place.read()) else {
        return None;
    };
    Some(Piece {
        start: value.cast_unsigned() as usize,
        data: segment.data,
    })
}

fn are_in_order(pieces: &[Piece<'_>]) -> bool {
    pieces.windows(2).all(|pair| pair[0].end() <= pair[1].start)
}

/// Before which pieces a new segment begins: where the widest gaps are, since those between are filled with zeros.
fn boundaries(pieces: &[Piece<'_>]) -> Vec<usize> {
    let mut all: Vec<_> = (1..pieces.len()).collect();
    all.sort_by_key(|at| Reverse(pieces[*at].start - pieces[at - 1].end()));
    all.truncate(SEGMENTS_MAX - 1);
    all.sort_unstable();
    all
}

fn data_section(pieces: &[Piece<'_>], boundaries: &[usize]) -> DataSection {
    let mut section = DataSection::new();
    let (mut begin, mut rest) = (0, boundaries);
    while begin < pieces.len() {
        let end = rest.first().copied().unwrap_or(pieces.len());
        add(&mut section, &pieces[begin..end]);
        (begin, rest) = (end, rest.get(1..).unwrap_or_default());
    }
    section
}

/// Adds one segment with all of these pieces, and zeros between them.
fn add(section: &mut DataSection, pieces: &[Piece<'_>]) {
    let start = pieces[0].start;
    let mut data = Vec::new();
    for piece in pieces {
        data.resize(piece.start - start, 0);
        data.extend_from_slice(piece.data);
    }
    let place = ConstExpr::i32_const((start as u32).cast_signed());
    section.active(0, &place, data);
}

/// A section without the length that stands before it, whose last byte is the first one below 128.
fn content(section: &DataSection) -> Vec<u8> {
    let mut bytes = Vec::new();
    section.encode(&mut bytes);
    let length = bytes.iter().take_while(|byte| **byte >= 0x80).count() + 1;
    bytes.split_off(length)
}

/// A module or component with some sections replaced: those for which `replace` gives another content.
fn rewritten(
    bytes: &[u8],
    mut replace: impl FnMut(u8, &[u8]) -> Result<Option<Vec<u8>>>,
) -> Result<Vec<u8>> {
    let mut whole = bytes[..HEADER_BYTES.min(bytes.len())].to_vec();
    for section in sections(bytes)? {
        let (id, content) = section?;
        let new = replace(id, content)?;
        let data = new.as_deref().unwrap_or(content);
        RawSection { id, data }.append_to(&mut whole);
    }
    Ok(whole)
}

/// The sections of a module or component: the number and the content of each.
pub(crate) fn sections(bytes: &[u8]) -> Result<impl Iterator<Item = Result<(u8, &[u8])>>> {
    ensure!(
        Parser::is_component(bytes) || Parser::is_core_wasm(bytes),
        "it is no WebAssembly"
    );
    let mut reader = BinaryReader::new(&bytes[HEADER_BYTES..], HEADER_BYTES);
    Ok(std::iter::from_fn(move || {
        (!reader.eof()).then(|| section(&mut reader))
    }))
}

fn section<'a>(reader: &mut BinaryReader<'a>) -> Result<(u8, &'a [u8])> {
    let id = reader.read_u8()?;
    let length = reader.read_var_u32()? as usize;
    Ok((id, reader.read_bytes(length)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with a module of so many segments of two bytes, each four bytes behind the one before, and one far off.
    fn scattered(count: usize, more: &str) -> Vec<u8> {
        let near: String = (0..count)
            .map(|at| format!("(data (i32.const {}) \"ab\")", at * 4))
            .collect();
        let far = "(data (i32.const 60000) \"z\")";
        wat::parse_str(format!(
            "(component (component (core module (memory 1) {near} {far} {more})))"
        ))
        .unwrap()
    }

    /// What the segments of all modules write, byte for byte, and how many there are.
    fn memory(component: &[u8]) -> (Vec<u8>, usize) {
        let (mut memory, mut count) = (vec![0; 1 << 16], 0);
        for payload in Parser::new(0).parse_all(component) {
            let wasmparser::Payload::DataSection(section) = payload.unwrap() else {
                continue;
            };
            for segment in section {
                let piece = piece(segment.unwrap()).unwrap();
                memory[piece.start..piece.end()].copy_from_slice(piece.data);
                count += 1;
            }
        }
        (memory, count)
    }

    #[test]
    fn too_many_segments_are_joined_and_memory_stays_what_it_was() {
        let before = scattered(2_000, "");
        let after = joined(&before).unwrap();
        wasmparser::validate(&after).unwrap();
        assert_eq!(memory(&before).1, 2_001);
        assert_eq!(memory(&after), (memory(&before).0, SEGMENTS_MAX));
        assert!(after.len() < before.len());
    }

    #[test]
    fn the_widest_gaps_stay() {
        let pieces = [(0, "ab"), (3, "c"), (9, "d"), (11, "e")].map(|(start, data)| Piece {
            start,
            data: data.as_bytes(),
        });
        let section = content(&data_section(&pieces, &[2]));
        let segments = DataSectionReader::new(BinaryReader::new(&section, 0)).unwrap();
        let data: Vec<_> = segments.into_iter().map(|it| it.unwrap().data).collect();
        assert_eq!(data, [&b"ab\0c"[..], &b"d\0e"[..]]);
        assert_eq!(boundaries(&pieces), [1, 2, 3]);
    }

    #[test]
    fn what_has_few_or_names_them_in_code_stays_byte_for_byte() {
        let few = scattered(SEGMENTS_MAX - 1, "");
        assert_eq!(joined(&few).unwrap(), few);
        let named = scattered(2_000, "(func (data.drop 7))");
        assert_eq!(joined(&named).unwrap(), named);
        let passive = scattered(2_000, "(data \"ab\")");
        assert_eq!(joined(&passive).unwrap(), passive);
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let mut bytes = scattered(2_000, "");
        bytes.pop();
        assert!(joined(&bytes).is_err());
    }
}
