//! Rows that can be written: their columns, what stands around their values in an insert, and how values are bound.

use diesel::backend::Backend;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;

/// A row that can be written: declared by [`row!`].
pub(in crate::store) trait Row: Send + 'static {
    const COLUMNS: &'static [&'static str];

    fn frame() -> &'static Frame;
}

/// What stands around the values of a row's insert: put together once.
pub(in crate::store) struct Frame {
    /// Up to the values of the first row.
    pub(super) head: String,
    /// After the values of the last, each of the two.
    pub(super) keep: String,
    pub(super) replace: String,
}

impl Frame {
    pub(in crate::store) fn new(table: &str, key: &[&str], columns: &[&str]) -> Self {
        let others = columns.iter().filter(|column| !key.contains(column));
        let set: Vec<_> = others.map(|column| format!("{column} = excluded.{column}")).collect();
        let (key, set) = (key.join(", "), set.join(", "));
        Self {
            head: format!("INSERT INTO {table} ({}) VALUES (", columns.join(", ")),
            keep: format!(") ON CONFLICT ({key}) DO NOTHING"),
            replace: format!(") ON CONFLICT ({key}) DO UPDATE SET {set}"),
        }
    }
}

/// Binds a row's values, in the order of its columns.
pub(in crate::store) trait Bind<DB: Backend>: Row {
    fn bind<'b>(&'b self, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()>;
}

/// Declares the struct of a table's row with the columns that are read and written.
macro_rules! row {
    ($(#[$meta:meta])* $name:ident in $table:ident ($($key:ident),+) { $($column:ident: $type:ty,)+ }) => {
        $(#[$meta])*
        #[derive(diesel::Queryable, diesel::Selectable)]
        #[diesel(table_name = $crate::store::schema::$table)]
        pub(in $crate::store) struct $name { $(pub(in $crate::store) $column: $type,)+ }

        impl $crate::store::statement::Row for $name {
            const COLUMNS: &'static [&'static str] = &[$(stringify!($column)),+];

            fn frame() -> &'static $crate::store::statement::Frame {
                static FRAME: std::sync::LazyLock<$crate::store::statement::Frame> = std::sync::LazyLock::new(|| {
                    $crate::store::statement::Frame::new(stringify!($table), &[$(stringify!($key)),+], <$name as $crate::store::statement::Row>::COLUMNS)
                });
                &FRAME
            }
        }
        $crate::store::statement::row!(@bind diesel::pg::Pg, $name in $table { $($column: $type,)+ });
        $crate::store::statement::row!(@bind diesel::sqlite::Sqlite, $name in $table { $($column: $type,)+ });
    };
    (@bind $db:ty, $name:ident in $table:ident { $($column:ident: $type:ty,)+ }) => {
        impl $crate::store::statement::Bind<$db> for $name {
            fn bind<'b>(
                &'b self,
                out: &mut diesel::query_builder::AstPass<'_, 'b, $db>,
            ) -> diesel::result::QueryResult<()> {
                let mut first = true;
                $(
                    if !std::mem::take(&mut first) {
                        out.push_sql(", ");
                    }
                    out.push_bind_param::<
                        diesel::dsl::SqlTypeOf<$crate::store::schema::$table::$column>,
                        $type,
                    >(&self.$column)?;
                )+
                Ok(())
            }
        }
    };
}
pub(in crate::store) use row;
