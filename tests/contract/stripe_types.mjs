// Turns the type declarations of the npm package `stripe` into one JSON Schema (draft 2020-12).
//
//   node stripe_types.mjs FOLDER        FOLDER/node_modules holds `stripe` and `typescript`
//
// Prints {apiVersion, objects, deleted, events, $defs}: `objects` maps every `object` literal
// ("charge") to its schema, `deleted` those of deleted objects, `events` every event type to the
// schema of such an event. Fields may be missing only where the declaration says so; fields that
// no declaration names are allowed.
import { createRequire } from "node:module";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";

const folder = resolve(process.argv[2] ?? ".");
const load = createRequire(join(folder, "package.json"));
const ts = load("typescript");
const types = join(folder, "node_modules", "stripe", "esm");

const files = readdirSync(join(types, "resources"), { recursive: true })
  .filter((name) => name.endsWith(".d.ts") && !name.startsWith("V2"))
  .map((name) => join(types, "resources", name));
const program = ts.createProgram([...files, join(types, "apiVersion.d.ts")], {
  strict: true,
  skipLibCheck: true,
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: [],
});
const checker = program.getTypeChecker();
const { TypeFlags, SymbolFlags } = ts;

const definitions = {};
const nameOfType = new Map();

function schemaOf(type) {
  if (type.flags & (TypeFlags.Any | TypeFlags.Unknown)) return {};
  if (type.flags & TypeFlags.Null) return { type: "null" };
  if (type.isStringLiteral() || type.isNumberLiteral()) return { const: type.value };
  if (type.flags & TypeFlags.BooleanLiteral) return { const: type.intrinsicName === "true" };
  if (type.flags & TypeFlags.StringLike) return { type: "string" };
  if (type.flags & TypeFlags.NumberLike) return { type: "number" };
  if (type.flags & TypeFlags.BooleanLike) return { type: "boolean" };
  if (type.isUnion()) return unionOf(type.types);
  if (isOpenString(type) || isDecimal(type)) return { type: "string" };
  if (checker.isArrayType(type)) {
    return { type: "array", items: schemaOf(checker.getTypeArguments(type)[0]) };
  }
  if (type.flags & TypeFlags.Object || type.isIntersection()) return referenceTo(type);
  throw new Error(`no schema for ${checker.typeToString(type)}`);
}

// `string & Record<never, never>`: the literals beside it are only the ones known today.
function isOpenString(type) {
  return type.isIntersection() && type.types.some((part) => part.flags & TypeFlags.String);
}

// Numbers that JSON carries as strings.
function isDecimal(type) {
  return type.aliasSymbol?.name === "Decimal" || type.symbol?.name === "DecimalImpl";
}

// `undefined` and `void` say that a field may be missing; JSON has no such values.
function isAbsence(type) {
  if (type.isUnion()) return type.types.every(isAbsence);
  return Boolean(type.flags & (TypeFlags.Undefined | TypeFlags.Void));
}

// Where Stripe lists the values it knows, only those are right here, though more may come.
function unionOf(members) {
  const defined = members.filter((member) => !isAbsence(member));
  const literals = defined.filter((member) => member.isStringLiteral());
  const others = defined.filter(
    (member) => !member.isStringLiteral() && !(literals.length && isOpenString(member)),
  );
  const choices = others.map(schemaOf);
  if (literals.length) choices.push({ enum: literals.map((literal) => literal.value) });
  return choices.length === 1 ? choices[0] : { anyOf: choices };
}

function referenceTo(type) {
  if (!nameOfType.has(type)) {
    const symbol = type.aliasSymbol ?? type.symbol;
    const name = `${symbol?.name ?? "Object"}.${nameOfType.size}`;
    nameOfType.set(type, name);
    definitions[name] = {}; // claimed before its fields are read: types refer to themselves
    definitions[name] = objectOf(type);
  }
  return { $ref: `#/$defs/${nameOfType.get(type)}` };
}

function objectOf(type) {
  const properties = {};
  const required = [];
  for (const property of checker.getPropertiesOfType(type)) {
    const value = checker.getTypeOfSymbol(property);
    if (value.getCallSignatures().length || isAbsence(value)) continue;
    properties[property.name] = schemaOf(value);
    if (!(property.flags & SymbolFlags.Optional)) required.push(property.name);
  }
  const index = type.getStringIndexType();
  return {
    type: "object",
    properties,
    ...(required.length ? { required } : {}),
    ...(index ? { additionalProperties: schemaOf(index) } : {}),
  };
}

// The literal that a property of this type always has, if it always has one.
function literalOf(type, name) {
  const property = checker.getPropertyOfType(type, name);
  const value = property && checker.getTypeOfSymbol(property);
  return value?.isStringLiteral() ? value.value : undefined;
}

function add(table, key, schema) {
  table[key] = key in table ? { anyOf: [...(table[key].anyOf ?? [table[key]]), schema] } : schema;
}

const objects = {};
const deleted = {};
const events = {};
for (const file of files) {
  program.getSourceFile(file).forEachChild((node) => {
    if (!ts.isInterfaceDeclaration(node)) return;
    const type = checker.getTypeAtLocation(node);
    const kind = literalOf(type, "object");
    if (kind === undefined) return;
    if (kind === "event") {
      const eventType = literalOf(type, "type");
      if (eventType !== undefined) add(events, eventType, schemaOf(type));
    } else {
      const gone = checker.getPropertyOfType(type, "deleted");
      const isGone = gone && !(gone.flags & SymbolFlags.Optional);
      add(isGone ? deleted : objects, kind, schemaOf(type));
    }
  });
}

const version = program
  .getSourceFile(join(types, "apiVersion.d.ts"))
  .text.match(/ApiVersion = "([^"]+)"/)[1];
process.stdout.write(
  JSON.stringify({ apiVersion: version, objects, deleted, events, $defs: definitions }),
);
