// A session with the server from another language, with nothing of ours but the .proto files.
// usage: node session.js ADDRESS PROTO_FOLDER GOOGLE_PROTO_FOLDER [AUTHORITY]; prints one JSON document.
// AUTHORITY is a PEM file; with it the connection is encrypted.
"use strict";
const fs = require("node:fs");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [address, protos, google, authority] = process.argv.slice(2);
const credentials = authority
  ? grpc.credentials.createSsl(fs.readFileSync(authority))
  : grpc.credentials.createInsecure();
const files = ["gallery_service", "enrollment_service", "identification_service", "recognizability_service"];
const definition = loader.loadSync(
  files.map((name) => `ersgallery/v1/${name}.proto`),
  { includeDirs: [protos, google], keepCase: true, enums: String, longs: String, defaults: true },
);
const v1 = grpc.loadPackageDefinition(definition).ersgallery.v1;
const open = (service) => new v1[service](address, credentials);
const call = (client, method, request) =>
  new Promise((resolve, reject) =>
    client[method](request, (error, response) => (error ? reject(error) : resolve(response))),
  );
const unit = (axis) => Float32Array.from({ length: 16 }, (_, i) => (i === axis ? 1 : 0));
const packed = (vector) => ({ packed: Buffer.from(vector.buffer) });

async function session() {
  const galleries = open("GalleryService");
  const identification = open("IdentificationService");
  const { profile } = await call(open("RecognizabilityService"), "CreateProfile", {
    profile_id: "node",
    profile: { model: "node-model", gamma: 0.5, centroids: { ...packed(unit(0)), rows: 1, dimension: 16 } },
  });
  await call(galleries, "CreateGallery", { gallery_id: "node", gallery: { profile: profile.name, tau: 0.8 } });
  const enrolled = await call(open("EnrollmentService"), "EnrollFaces", {
    parent: "galleries/node",
    enrollments: [
      { subject_id: "ann", embedding: packed(unit(1)) },
      { subject_id: "blurred", embedding: { values: Array.from(unit(0)) } },
    ],
  });
  const identify = (axis) =>
    call(identification, "Identify", { gallery: "galleries/node", probe: { embedding: packed(unit(axis)) } });
  const answers = await Promise.all([identify(1), identify(5), identify(0)]);
  const missing = await call(galleries, "GetGallery", { name: "galleries/nowhere" }).catch((error) => error);
  return {
    dispositions: enrolled.outcomes.map((outcome) => outcome.result.disposition),
    decisions: answers.map((answer) => answer.identification.decision),
    subject: answers[0].identification.candidates[0].subject,
    missing: grpc.status[missing.code],
  };
}

session()
  .then((result) => console.log(JSON.stringify(result)))
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
