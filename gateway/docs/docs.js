"use strict";
// Draws openapi.json. Text goes in as text only.

function el(tag, props, ...children) {
  const e = Object.assign(document.createElement(tag), props);
  e.append(...children.filter((c) => c !== undefined && c !== null));
  return e;
}

let api;

function resolve(schema) {
  while (schema && schema.$ref) {
    schema = api.components.schemas[schema.$ref.split("/").pop()];
  }
  return schema || {};
}

// sketch writes a schema as the JSON one would send or get.
function sketch(schema, depth = 0, seen = new Set()) {
  const s = resolve(schema);
  const pad = "  ".repeat(depth + 1);
  if (seen.has(s) || depth > 6) return "…";
  const inner = new Set(seen).add(s);
  if (s.properties) {
    const need = new Set(s.required || []);
    const rows = Object.entries(s.properties).map(([k, v]) => {
      const said = resolve(v).description || v.description;
      return `${pad}"${k}"${need.has(k) ? "" : "?"}: ${sketch(v, depth + 1, inner)}${said ? "  // " + said : ""}`;
    });
    return "{\n" + rows.join("\n") + "\n" + "  ".repeat(depth) + "}";
  }
  if (s.items) return "[" + sketch(s.items, depth, inner) + "]";
  if (s.enum) return s.enum.map((v) => JSON.stringify(v)).join(" | ");
  if (s.oneOf) return s.oneOf.map((o) => sketch(o, depth, inner)).join(" | ");
  const type = Array.isArray(s.type) ? s.type.join(" | ") : s.type || "anything";
  return s.format ? `${type} (${s.format})` : type;
}

function bounds(s) {
  const out = [];
  for (const k of ["minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "default"]) {
    if (s[k] !== undefined) out.push(`${k} ${s[k]}`);
  }
  return out.join(", ");
}

function draw(path, method, op) {
  const body = el("div", { className: "body" });
  if (op.description) body.append(el("p", {}, op.description));
  if (op.parameters && op.parameters.length) {
    const rows = op.parameters.map((p) =>
      el("tr", {}, el("td", {}, el("code", {}, p.name)), el("td", {}, p.in + (p.required ? ", needed" : "")),
        el("td", {}, sketch(p.schema), " ", bounds(resolve(p.schema))), el("td", {}, p.description || resolve(p.schema).description || "")));
    body.append(el("h3", {}, "Parameters"), el("table", {}, ...rows));
  }
  const sent = op.requestBody && op.requestBody.content && op.requestBody.content["application/json"];
  if (sent) body.append(el("h3", {}, "Body"), el("pre", {}, sketch(sent.schema)));
  for (const [status, r] of Object.entries(op.responses || {})) {
    const got = r.content && (r.content["application/json"] || Object.values(r.content)[0]);
    body.append(el("h3", {}, `${status} ${r.description || ""}`));
    if (got && status < "400") body.append(el("pre", {}, sketch(got.schema)));
  }
  const needs = (op.security || []).some((s) => "bearer" in s);
  const head = el("summary", { className: needs ? "" : "open" },
    el("b", { className: "method" }, method.toUpperCase()), el("code", {}, path), el("span", {}, op.summary || ""));
  const d = el("details", { id: op.operationId || "" }, head, body);
  d.dataset.text = `${method} ${path} ${op.summary || ""}`.toLowerCase();
  return d;
}

async function main() {
  const answer = await fetch("/openapi.json");
  api = await answer.json();
  const about = document.getElementById("about");
  about.replaceChildren(`${api.info.version} · ${api.info.description} · `, el("a", { href: "/openapi.json" }, "openapi.json"));
  const byTag = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of ["get", "post", "put", "patch", "delete"]) {
      if (!item[method]) continue;
      const tag = (item[method].tags || ["other"])[0];
      if (!byTag.has(tag)) byTag.set(tag, []);
      byTag.get(tag).push(draw(path, method, item[method]));
    }
  }
  const main = document.getElementById("operations");
  for (const [tag, all] of byTag) main.append(el("section", {}, el("h2", {}, tag), ...all));
  document.getElementById("search").addEventListener("input", (e) => {
    const want = e.target.value.toLowerCase();
    for (const d of document.querySelectorAll("details")) d.hidden = !d.dataset.text.includes(want);
    for (const s of document.querySelectorAll("section")) s.hidden = !s.querySelector("details:not([hidden])");
  });
  if (location.hash) {
    const d = document.getElementById(location.hash.slice(1));
    if (d) d.open = true;
  }
}

main().catch((e) => { document.getElementById("about").textContent = "openapi.json could not be read: " + e; });
