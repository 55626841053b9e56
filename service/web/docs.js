// The documentation, drawn from the service's own OpenAPI document: nothing comes from outside.

const METHODS = ["get", "post", "put", "patch", "delete"];

function make(tag, { text, name, id } = {}, ...children) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (name) element.className = name;
  if (id) element.id = id;
  element.append(...children);
  return element;
}

function table(head, rows) {
  const cells = (tag, values) => make("tr", {}, ...values.map((value) =>
    value instanceof Node ? make(tag, {}, value) : make(tag, {}, ...prose(value))));
  return make("div", { name: "scroll" },
    make("table", {}, make("thead", {}, cells("th", head)), make("tbody", {}, ...rows.map((row) => cells("td", row)))));
}

const code = (text) => make("code", { text });

/** Text with `code` in it, as nodes. */
function prose(text) {
  return String(text).split("`").map((part, index) => (index % 2 ? code(part) : part));
}

/** Follow `$ref`s inside the document. */
function resolve(schema, document_) {
  while (schema?.$ref) {
    schema = schema.$ref.slice(2).split("/").reduce((node, key) => node[key], document_);
  }
  return schema ?? {};
}

/** A schema's type in a few words. */
function typeOf(schema, document_) {
  const name = schema.$ref?.split("/").pop();
  const plain = resolve(schema, document_);
  if (plain.const !== undefined) return JSON.stringify(plain.const);
  if (plain.enum) return plain.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (plain.anyOf) {
    return plain.anyOf.map((one) => typeOf(one, document_)).filter((one) => one !== "null").join(" | ");
  }
  if (plain.prefixItems) return `${plain.prefixItems.length} numbers`;
  if (plain.type === "array") return `list of ${typeOf(plain.items ?? {}, document_)}`;
  return name ?? plain.type ?? "any";
}

function fieldsOf(schema, document_, prefix = "", depth = 0) {
  const plain = resolve(schema, document_);
  return Object.entries(plain.properties ?? {}).flatMap(([name, field]) => {
    const row = [code(prefix + name), typeOf(field, document_), resolve(field, document_).description ?? ""];
    const inner = field.type === "array" ? field.items : field;
    const deeper = depth < 2 && resolve(inner, document_).properties
      ? fieldsOf(inner, document_, `${prefix}${name}${field.type === "array" ? "[]" : ""}.`, depth + 1) : [];
    return [row, ...deeper];
  });
}

function drawOperation(path, method, operation, document_) {
  const body = make("details", {},
    make("summary", {}, make("span", { name: "method", text: method.toUpperCase() }), code(path),
      make("span", { name: "quiet", text: operation.summary ?? "" })));
  if (operation.description) body.append(make("p", {}, ...prose(operation.description)));
  if (operation.parameters?.length) {
    body.append(make("h3", { text: "Parameters" }), table(["name", "in", "type", "meaning"],
      operation.parameters.map((parameter) => [
        code(parameter.name), parameter.in, typeOf(parameter.schema, document_),
        (parameter.description ?? "") + (parameter.schema.default !== undefined ? ` Default: ${parameter.schema.default}` : ""),
      ])));
  }
  if (operation.requestBody) {
    body.append(make("h3", { text: "Body" }), make("p", { text: Object.keys(operation.requestBody.content).join(", ") }));
  }
  body.append(make("h3", { text: "Answers" }), table(["status", "types", "meaning"],
    Object.entries(operation.responses).map(([status, answer]) => [
      status, Object.keys(answer.content ?? {}).join(", "), answer.description ?? ""])));
  const json = operation.responses["200"]?.content?.["application/json"]?.schema;
  const fields = json ? fieldsOf(json, document_) : [];
  if (fields.length) body.append(make("h3", { text: "JSON" }), table(["field", "type", "meaning"], fields));
  return make("article", { name: "panel" }, body);
}

async function drawOperations() {
  const document_ = await (await fetch("/openapi.json")).json();
  const articles = Object.entries(document_.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => drawOperation(path, method, item[method], document_)));
  document.getElementById("operations").replaceChildren(...articles);
  articles[0]?.querySelector("details").setAttribute("open", "");
}

async function drawProblems() {
  const kinds = await (await fetch("/docs/problems.json")).json();
  document.getElementById("problems").replaceChildren(...kinds.map((kind) => make("tr", { id: `problem-${kind.slug}` },
    make("td", { text: kind.status }), make("td", {}, code(kind.slug)), make("td", { text: kind.title }))));
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

for (const slot of document.querySelectorAll("[data-origin]")) slot.textContent = location.origin;
drawOperations().catch(() => document.getElementById("operations").replaceChildren(make("p", { name: "error", text: "The OpenAPI document could not be loaded." })));
drawProblems();
