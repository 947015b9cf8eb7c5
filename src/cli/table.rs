//! Rows under headings, for people; the columns are as wide as their widest cell.

/// Lays out rows below their headings, two blanks between columns.
pub fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let headings = headings.map(str::to_owned);
    let all: Vec<&[String; N]> = std::iter::once(&headings).chain(rows).collect();
    let mut widths = [0; N];
    for row in &all {
        for (width, cell) in widths.iter_mut().zip(*row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    all.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".to_owned(), "longer".to_owned()], ["wider".to_owned(), "b".to_owned()]];
        assert_eq!(table(["ID", "NAME"], &rows), "ID     NAME\na      longer\nwider  b\n");
        assert_eq!(table(["ID"], &[]), "ID\n");
    }
}
