// Run by mongosh: joins the three members and makes Troupe's user, once.
const fs = require('fs');
const secret = (name) => fs.readFileSync('/run/secrets/' + name, 'utf8').trim();

const first = new Mongo('mongodb://root:' + secret('mongo_root') + '@mongo1:27017/admin?directConnection=true').getDB('admin');
try {
  first.adminCommand({ replSetGetStatus: 1 });
} catch (e) {
  if (e.codeName !== 'NotYetInitialized') throw e;
  first.adminCommand({
    replSetInitiate: { _id: 'rs0', members: ['mongo1', 'mongo2', 'mongo3'].map((m, i) => ({ _id: i, host: m + ':27017', priority: i === 0 ? 2 : 1 })) },
  });
}
// Waits until there is a primary, as the driver does.
const all = new Mongo('mongodb://root:' + secret('mongo_root') + '@mongo1,mongo2,mongo3/admin?replicaSet=rs0&serverSelectionTimeoutMS=60000').getDB('troupe');
if (all.getUser('troupe') === null) {
  all.createUser({ user: 'troupe', pwd: secret('mongo_troupe'), roles: [{ role: 'readWrite', db: 'troupe' }] }, { w: 'majority' });
}
