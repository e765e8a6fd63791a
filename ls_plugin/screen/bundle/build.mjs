/* Builds ../files/markdown.js and writes down what it was built from: see README.md. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const OUT = "../files/markdown.js";
const result = await build({
  entryPoints: ["entry.js"], outfile: OUT, bundle: true, minify: true, format: "iife", target: "es2022", charset: "ascii",
  legalComments: "none", platform: "neutral", mainFields: ["module", "main"], metafile: true,
});
const hash = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");
const inputs = Object.entries(Object.values(result.metafile.outputs)[0].inputs);
const used = new Set(inputs.filter(([path, part]) => path.startsWith("node_modules/") && part.bytesInOutput)
  .map(([path]) => path.split("node_modules/").at(-1).match(/^(@[^/]+\/)?[^/]+/)[0]));
const packages = [...used].sort().map((name) => {
  const folder = `node_modules/${name}`;
  const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  return { name, version, license, text: file ? readFileSync(`${folder}/${file}`, "utf8").trim() : "" };
});
writeFileSync("../files/markdown.LICENSES.txt", packages.map(({ name, version, license, text }) =>
  `${name} ${version} (${license})\n\n${text}\n`).join(`\n${"-".repeat(80)}\n\n`));
const sources = ["entry.js", "dialect.js", "package-lock.json"];
writeFileSync("built.json", JSON.stringify({
  "files": Object.fromEntries([...sources, OUT].map((path) => [path, hash(path)])),
  "packages": Object.fromEntries(packages.map(({ name, version }) => [name, version])),
}, null, 2) + "\n");
