// Blnk's practice example and the other calls of its reconciliation API, made with the official client as it comes
// from npm. Arguments: the client's package, address, key, file to upload. Prints what came back as JSON.
const [clientPackage, baseUrl, key, file] = process.argv.slice(2);
const { BlnkInit } = require(clientPackage);

const quiet = { info() {}, error() {}, debug() {} };
const blnk = BlnkInit(key, { baseUrl, logger: quiet, timeout: 30000 });
const amounts = [152.75, 329.4, 87.15, 413.6, 276.89, 199.99, 540.25, 135.7, 92.8, 480.55];
const said = {};

async function finished(id) {
  for (;;) {
    const got = await blnk.Reconciliation.get(id);
    if (got.status !== 200 || !["started", "in_progress"].includes(got.data.status)) return got;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function main() {
  const transactions = amounts.map((amount, index) => ({
    amount,
    precision: 100,
    reference: `txn_${String(index + 1).padStart(3, "0")}`,
    description: `Payment ${index + 1}`,
    currency: "USD",
    source: index % 2 ? "@WorldB" : "@WorldA",
    destination: index % 2 ? "@WorldA" : "@WorldB",
    allow_overdraft: true,
  }));
  said.bulk = await blnk.Transactions.createBulk({ atomic: true, inflight: false, run_async: false, transactions });
  said.upload = await blnk.Reconciliation.upload(file, "Stripe");
  const rule = {
    name: "Basic matcher",
    description: "Matches transactions by amount and reference",
    criteria: [
      { field: "amount", operator: "equals" },
      { field: "currency", operator: "equals" },
      { field: "reference", operator: "contains" },
    ],
  };
  said.rule = await blnk.Reconciliation.createMatchingRule(rule);
  const ruleId = said.rule.data.rule_id;
  said.run = await blnk.Reconciliation.run({
    upload_id: said.upload.data.upload_id,
    strategy: "one_to_one",
    matching_rule_ids: [ruleId],
  });
  said.result = await finished(said.run.data.reconciliation_id);

  const found = await blnk.Transactions.getByReference("txn_001");
  said.entry = await blnk.Transactions.get(found.data.transaction_id);
  const external_transactions = [
    ["dry-1", 329.4, "txn_002"],
    ["dry-2", 1.0, "txn_003"],
  ].map(([id, amount, reference]) => ({
    id,
    amount,
    reference,
    currency: "USD",
    description: "Payment",
    date: "2025-03-17T06:35:10Z",
    source: "Stripe",
  }));
  said.instant = await blnk.Reconciliation.runInstant({
    external_transactions,
    strategy: "one_to_one",
    dry_run: true,
    matching_rule_ids: [ruleId],
  });
  said.instantResult = await blnk.Reconciliation.get(said.instant.data.reconciliation_id);

  said.renamed = await blnk.Reconciliation.updateMatchingRule(ruleId, { ...rule, name: "Renamed" });
  said.deleted = await blnk.Reconciliation.deleteMatchingRule(ruleId);
  said.deletedAgain = await blnk.Reconciliation.deleteMatchingRule(ruleId);
  said.unknown = await blnk.Reconciliation.get("recon_unknown");
  const stranger = BlnkInit("tieout_wrong", { baseUrl, logger: quiet });
  said.stranger = await stranger.Reconciliation.get("recon_unknown");
  console.log(JSON.stringify(said));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
