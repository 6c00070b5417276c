// A call from the ring to its end, over gRPC. The messages are read from proto/ when the program starts.
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import * as loader from "@grpc/proto-loader";

// The repository's clients folder: that of this file, unless the file was copied elsewhere.
const clients = process.env.RAPPORT_CLIENTS ?? join(import.meta.dirname ?? ".", "..");
const proto = join(clients, "..", "proto");
const address = process.env.RAPPORT_ADDRESS ?? "127.0.0.1:50051";

const files = readdirSync(proto, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".proto"));
const contract = grpc.loadPackageDefinition(
  loader.loadSync(files, { includeDirs: [proto], longs: String, enums: String, defaults: true, oneofs: true }),
) as any;

const metadata = new grpc.Metadata();
if (process.env.RAPPORT_TOKEN) metadata.set("authorization", `Bearer ${process.env.RAPPORT_TOKEN}`);

// Retries are safe because every write carries a request_id.
const options = { "grpc.service_config": readFileSync(join(clients, "service-config.json"), "utf8") };
// TLS where RAPPORT_CA names the authorities (PEM) that sign the server's certificate; createSsl() alone trusts those of Node.
const authorities = process.env.RAPPORT_CA;
const credentials = authorities
  ? grpc.credentials.createSsl(readFileSync(authorities))
  : grpc.credentials.createInsecure();
const parties = new contract.rapport.stakeholders.v1.PartyService(address, credentials, options);
const desk = new contract.rapport.interactions.v1.DeskService(address, credentials, options);

function call(client: any, method: string, request: object): Promise<any> {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + 10_000;
    client[method](request, metadata, { deadline }, (error: grpc.ServiceError | null, reply: unknown) =>
      error ? reject(error) : resolve(reply),
    );
  });
}

function check(holds: boolean, what: string, seen: unknown) {
  if (!holds) throw new Error(`${what}: ${JSON.stringify(seen)}`);
}

const number = `+1202555${String(process.pid % 10_000).padStart(4, "0")}`;
const party = await call(parties, "createParty", {
  requestId: randomUUID(),
  party: {
    kind: "PARTY_KIND_INDIVIDUAL",
    displayName: "TypeScript Example",
    contactMedia: [{ kind: "MEDIUM_KIND_PHONE", value: number }],
  },
});
console.log("created ", party.name);

const ringing = await call(desk, "beginCall", {
  budgetMs: 5000,
  requestId: randomUUID(),
  call: {
    callId: `typescript-${randomUUID()}`,
    direction: "DIRECTION_INBOUND",
    agent: "users/ana",
    identifierUsed: { scheme: "tel", value: number },
  },
});
check(ringing.resolution.party === party.name, "the caller was not recognised", ringing.resolution);
console.log("ringing ", number, "is known");

const context = await call(desk, "getAgentContext", { call: ringing.name, budgetMs: 5000 });
const text = JSON.stringify(context);
check(text.includes("TypeScript Example"), "the context does not name the caller", context);
console.log("context ", text.length, "characters about TypeScript Example");

const ended = await call(desk, "endCall", {
  requestId: randomUUID(),
  call: { callId: ringing.callId },
  disposition: "CALL_DISPOSITION_HANDLED",
  wrapUp: "asked for the opening hours",
});
check(ended.interaction.startsWith("interactions/"), "the call was not recorded", ended);
console.log("ended    and recorded");
parties.close();
desk.close();
