//! Columns as `bao` sets them: four spaces between, the header underlined, `n/a` where nothing is.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// Sets rows, the header first.
pub(crate) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let Some((header, body)) = rows.split_first() else {
        return String::new();
    };
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .add_row(header)
        .add_row(header.iter().map(|title| "-".repeat(title.chars().count())));
    for row in body {
        table.add_row(
            row.iter()
                .map(|cell| if cell.is_empty() { "n/a" } else { cell }),
        );
    }
    for column in table.column_iter_mut() {
        column
            .set_padding((0, 4))
            .set_cell_alignment(CellAlignment::Left);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_have_no_spaces_at_the_end() {
        let rows = [["Path", "Type"], ["a-long-path/", "kv"], ["b/", ""]];
        let rows: Vec<_> = rows.map(|row| row.map(str::to_owned)).into();
        assert_eq!(
            table(&rows),
            "Path            Type\n----            ----\na-long-path/    kv\nb/              n/a"
        );
    }
}
