// The peer of `tools/bench notify-fanout`: socket.io in its fastest configuration that signs its
// clients in. --port=P --secret_file=FILE. A client of role `service` emits `publish` with payloads,
// and each goes to everybody.
import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Server } from "socket.io";
import { options, print, version } from "../bullmq/settings.mjs";

const o = options({ port: 0, secret_file: "" });
const secret = readFileSync(o.secret_file, "utf8").replace(/\n$/, "");

// RFC 7519 with HS256, and the claims that Slipstream checks.
function verified(token) {
  const [head, body, signature] = token.split(".");
  const expected = createHmac("sha256", secret).update(`${head}.${body}`).digest();
  const given = Buffer.from(signature ?? "", "base64url");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
  const claims = JSON.parse(Buffer.from(body, "base64url").toString());
  if (claims.exp * 1000 < Date.now() || claims.iss !== "slipstream" || claims.aud !== "slipstream") {
    return null;
  }
  return claims;
}

const http = createServer();
const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });
io.use((socket, next) => {
  const claims = verified(String(socket.handshake.auth.token));
  if (!claims) return next(new Error("unauthorized"));
  socket.data.service = claims.roles.includes("service");
  next();
});
io.on("connection", (socket) => {
  if (!socket.data.service) return;
  socket.on("publish", (...payloads) => {
    for (const payload of payloads) io.emit("m", payload);
  });
});
http.listen(o.port, "127.0.0.1", 4096, () => print({ event: "ready", version: version("socket.io") }));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
