"""The store itself. Each file has one idea:

| file | idea |
|---|---|
| `routes` | finds the path that a request is for, and writes the help texts |
| `fields` | reads what a client sent, as loosely as OpenBao does |
| `jsontext` | JSON whose numbers keep their digits |
| `answers` | responses, refusals and errors |
| `moments` | points and spans of time as clients see them |
| `transactions` | runs a write again when it met a newer one |
| `config` | the mount's settings, cached in memory |
| `record` | what is stored: a key's metadata, and the data of each of its versions |
| `data` | `data/…`: read, write, patch, delete the newest |
| `versions` | `delete/…`, `undelete/…`, `destroy/…`: by version number |
| `metadata` | `metadata/…`: list keys, read and change what is known of a key, remove it whole |
| `custom_metadata` | the texts that people attach to a key |
| `subkeys` | `subkeys/…`: the shape of the data without its values |
| `invalid` | a helpful answer to every other path |
"""
