//===- LspServer.cpp - the language server of .attn -----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/lsp/LspServer.h"
#include "frontend/lsp/Document.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/LSP/Transport.h"

using namespace llvm;

namespace filigree::frontend {

namespace {

/// The parameters of any message; members are looked up where they are needed.
struct Params {
  json::Object object;
};
bool fromJSON(const json::Value &value, Params &params, json::Path) {
  if (const json::Object *object = value.getAsObject())
    params.object = *object;
  return true;
}

class Server {
public:
  explicit Server(lsp::JSONTransport &transport) : handler(transport) {
    handler.method("initialize", this, &Server::onInitialize);
    handler.method("shutdown", this, &Server::onShutdown);
    handler.method("textDocument/hover", this, &Server::onHover);
    handler.method("textDocument/completion", this, &Server::onCompletion);
    handler.method("textDocument/definition", this, &Server::onDefinition);
    handler.notification("initialized", this, &Server::onInitialized);
    handler.notification("textDocument/didOpen", this, &Server::onOpen);
    handler.notification("textDocument/didChange", this, &Server::onChange);
    handler.notification("textDocument/didClose", this, &Server::onClose);
    publish = handler.outgoingNotification<json::Value>(
        "textDocument/publishDiagnostics");
  }

  using Reply = lsp::Callback<json::Value>;
  void onInitialize(const Params &params, Reply reply);
  void onShutdown(const Params &params, Reply reply);
  void onHover(const Params &params, Reply reply);
  void onCompletion(const Params &params, Reply reply);
  void onDefinition(const Params &params, Reply reply);
  void onInitialized(const Params &params) {}
  void onOpen(const Params &params);
  void onChange(const Params &params);
  void onClose(const Params &params);

  lsp::MessageHandler handler;
  bool sawShutdown = false;

private:
  void update(StringRef uri, StringRef text, std::optional<int64_t> version);
  const Document *find(const Params &params, Place &place) const;

  StringMap<std::unique_ptr<Document>> documents;
  lsp::OutgoingNotification<json::Value> publish;
};

} // namespace

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

static json::Value toJSON(Place place) {
  return json::Object{{"line", place.line}, {"character", place.column}};
}

static json::Value toJSON(const Span &span) {
  return json::Object{{"start", toJSON(span.start)}, {"end", toJSON(span.end)}};
}

static json::Value toJSON(const Finding &finding) {
  return json::Object{{"range", toJSON(finding.span)},
                      {"severity", finding.kind == SourceMgr::DK_Error ? 1 : 2},
                      {"source", "filigree"},
                      {"message", json::fixUTF8(finding.message)}};
}

static StringRef getUri(const Params &params) {
  const json::Object *document = params.object.getObject("textDocument");
  return document ? document->getString("uri").value_or("") : StringRef();
}

//===----------------------------------------------------------------------===//
// Life
//===----------------------------------------------------------------------===//

void Server::onInitialize(const Params &, Reply reply) {
  json::Object capabilities{
      {"textDocumentSync",
       json::Object{{"openClose", true}, {"change", 1 /*whole text*/}}},
      {"hoverProvider", true},
      {"definitionProvider", true},
      {"completionProvider",
       json::Object{{"triggerCharacters", json::Array{"(", ","}}}}};
  reply(json::Object{
      {"serverInfo", json::Object{{"name", "filigree-lsp-server"}}},
      {"capabilities", std::move(capabilities)}});
}

void Server::onShutdown(const Params &, Reply reply) {
  sawShutdown = true;
  reply(nullptr);
}

//===----------------------------------------------------------------------===//
// Texts
//===----------------------------------------------------------------------===//

void Server::update(StringRef uri, StringRef text,
                    std::optional<int64_t> version) {
  auto &document = documents[uri];
  document = std::make_unique<Document>(text);
  json::Array findings;
  for (const Finding &finding : document->getFindings())
    findings.push_back(toJSON(finding));
  json::Object message{{"uri", uri}, {"diagnostics", std::move(findings)}};
  if (version)
    message["version"] = *version;
  publish(std::move(message));
}

void Server::onOpen(const Params &params) {
  const json::Object *document = params.object.getObject("textDocument");
  if (!document)
    return;
  if (auto text = document->getString("text"))
    update(getUri(params), *text, document->getInteger("version"));
}

/// Changes carry the whole text; the last one counts.
void Server::onChange(const Params &params) {
  const json::Object *document = params.object.getObject("textDocument");
  const json::Array *changes = params.object.getArray("contentChanges");
  if (!document || !changes || changes->empty())
    return;
  const json::Object *change = changes->back().getAsObject();
  if (auto text = change ? change->getString("text") : std::nullopt)
    update(getUri(params), *text, document->getInteger("version"));
}

void Server::onClose(const Params &params) {
  StringRef uri = getUri(params);
  documents.erase(uri);
  publish(json::Object{{"uri", uri}, {"diagnostics", json::Array()}});
}

//===----------------------------------------------------------------------===//
// Questions
//===----------------------------------------------------------------------===//

const Document *Server::find(const Params &params, Place &place) const {
  const json::Object *position = params.object.getObject("position");
  auto found = documents.find(getUri(params));
  if (!position || found == documents.end())
    return nullptr;
  auto get = [&](StringRef name) {
    int64_t value = position->getInteger(name).value_or(0);
    return unsigned(std::clamp<int64_t>(value, 0, INT32_MAX));
  };
  place = {get("line"), get("character")};
  return found->second.get();
}

void Server::onHover(const Params &params, Reply reply) {
  Place place;
  const Document *document = find(params, place);
  auto hover = document ? document->hover(place) : std::nullopt;
  if (!hover)
    return reply(nullptr);
  reply(json::Object{{"range", toJSON(hover->span)},
                     {"contents", json::Object{{"kind", "markdown"},
                                               {"value", hover->markdown}}}});
}

void Server::onDefinition(const Params &params, Reply reply) {
  Place place;
  const Document *document = find(params, place);
  auto span = document ? document->findDefinition(place) : std::nullopt;
  if (!span)
    return reply(nullptr);
  reply(json::Object{{"uri", getUri(params)}, {"range", toJSON(*span)}});
}

void Server::onCompletion(const Params &params, Reply reply) {
  Place place;
  const Document *document = find(params, place);
  json::Array items;
  if (document)
    for (const Completion &item : document->complete(place))
      items.push_back(json::Object{{"label", item.label},
                                   {"kind", int(item.kind)},
                                   {"detail", item.detail},
                                   {"documentation", item.doc}});
  reply(json::Object{{"isIncomplete", false}, {"items", std::move(items)}});
}

bool runLspServer(std::FILE *in, raw_ostream &out, bool isTest) {
  lsp::JSONTransport transport(in, out,
                               isTest ? lsp::JSONStreamStyle::Delimited
                                      : lsp::JSONStreamStyle::Standard,
                               /*PrettyOutput=*/isTest);
  Server server(transport);
  if (Error error = transport.run(server.handler)) {
    consumeError(std::move(error));
    return false;
  }
  return server.sawShutdown;
}

} // namespace filigree::frontend
