//! One request on its way through a handler: the request, its fields, and the host.

use std::collections::BTreeMap;

use palisade_contract::{
    Host, Json, LogLevel, LogRecord, Operation, Request, Storage, SystemView, Timestamp,
    Transaction, TransactionMode,
};
use serde_json::value::RawValue;

use crate::Failure;
use crate::field::{Field, FieldSchema, FieldValue};
use crate::matcher::Captures;

/// What a handler is given. It is a handful of references: copy it freely.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    request: &'a Request,
    fields: &'a Fields,
    host: &'a dyn Host,
}

impl<'a> Call<'a> {
    pub(crate) fn new(request: &'a Request, fields: &'a Fields, host: &'a dyn Host) -> Self {
        Self {
            request,
            fields,
            host,
        }
    }

    /// The request itself.
    pub fn request(self) -> &'a Request {
        self.request
    }

    /// The host as this request sees it.
    pub fn host(self) -> &'a dyn Host {
        self.host
    }

    /// The mount's storage.
    pub fn storage(self) -> &'a dyn Storage {
        self.host.storage()
    }

    /// Facts about the server and the mount.
    pub fn system(self) -> &'a dyn SystemView {
        self.host.system()
    }

    /// The wall clock.
    pub fn now(self) -> Timestamp {
        self.host.now()
    }

    /// Writes a line to the server's log. Never put a secret there.
    pub fn log(self, level: LogLevel, message: &str, fields: &[(&str, &str)]) {
        self.host.log(LogRecord {
            level,
            message,
            fields,
        });
    }

    /// Opens a transaction to read and write in; dropping it without a commit rolls it back. See
    /// [`retry_conflicts`](crate::retry_conflicts).
    ///
    /// # Errors
    ///
    /// What the host says.
    pub async fn transaction(self) -> Result<Box<dyn Transaction>, Failure> {
        Ok(self.storage().begin(TransactionMode::ReadWrite).await?)
    }

    /// What the client gave for the field, or the field's default; `None` when there is neither.
    ///
    /// # Errors
    ///
    /// When what the client gave does not have the field's type. For a field in the path's schema this was checked
    /// before the handler ran.
    pub fn get<T: FieldValue>(self, field: &Field<T>) -> Result<Option<T>, Failure> {
        let text = self.fields.text(&field.schema);
        text.map(|text| field.schema.read(text)).transpose()
    }

    /// As [`Call::get`], with the type's own default when the client gave nothing and the field has none.
    ///
    /// # Errors
    ///
    /// As [`Call::get`].
    pub fn value<T: FieldValue + Default>(self, field: &Field<T>) -> Result<T, Failure> {
        Ok(self.get(field)?.unwrap_or_default())
    }

    /// The JSON text that the client gave under that name, whether a schema knows it or not.
    pub fn raw(self, name: &str) -> Option<Json> {
        self.fields.given(name).map(Json::from_text)
    }
}

/// What the client sent, by name, as JSON text; names in the path win over names in the body.
#[derive(Default)]
pub(crate) struct Fields {
    path: Vec<(String, String)>,
    body: BTreeMap<String, Box<RawValue>>,
}

impl Fields {
    pub(crate) fn of(request: &Request, captures: Captures) -> Result<Self, Failure> {
        let as_json = |(name, text)| Ok((name, serde_json::to_string::<String>(&text)?));
        Ok(Self {
            path: captures
                .into_iter()
                .map(as_json)
                .collect::<Result<_, Failure>>()?,
            body: body(&request.data)?,
        })
    }

    /// What the client gave.
    fn given(&self, name: &str) -> Option<&str> {
        let caught = self.path.iter().find(|(known, _)| known == name);
        match caught {
            Some((_, text)) => Some(text),
            None => self.body.get(name).map(|raw| raw.get()),
        }
    }

    /// Checks the types of all fields of the schema, and for a write that the required ones are there.
    pub(crate) fn check(
        &self,
        schema: &[FieldSchema],
        operation: Operation,
    ) -> Result<(), Failure> {
        let writes = matches!(operation, Operation::Create | Operation::Update);
        schema.iter().try_for_each(|field| match self.text(field) {
            Some(text) => field.check(text),
            None if writes && field.is_required() => Err(Failure::refused(format!(
                "missing required field {:?}",
                field.name()
            ))),
            None => Ok(()),
        })
    }

    /// The JSON text of the field, or of its default. A JSON `null` counts as not given.
    fn text(&self, field: &FieldSchema) -> Option<&str> {
        self.given(field.name())
            .filter(|text| *text != "null")
            .or(field.default_json())
    }
}

fn body(data: &Json) -> Result<BTreeMap<String, Box<RawValue>>, Failure> {
    if data.is_null() {
        return Ok(BTreeMap::new());
    }
    data.parse().map_err(|fault| {
        let (line, column) = (fault.line(), fault.column());
        Failure::refused(format!(
            "the request's data is not a JSON object (line {line}, column {column})"
        ))
    })
}
