"""Where the tests of exports write each format."""

SUFFIX = {
    "jsonl": "a.jsonl",
    "csv": "a.csv",
    "xlsx": "a.xlsx",
    "parquet": "a.parquet",
    "hf": "folder",
    "ground-truth": "a.manifest",
    "label-studio": "a.json",
}
