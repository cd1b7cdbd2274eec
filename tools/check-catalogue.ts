// npm run catalogue:check: names everything that is wrong with the catalogue, or counts what is in it.
import { checkCatalogue } from '../src/catalogue/check.ts'

const { catalogue, faults } = checkCatalogue(process.argv[2])
for (const { path, reason } of faults) console.error(`${path}: ${reason}`)
if (faults.length > 0) process.exit(1)

const count = (name: string, items: { [id: string]: unknown }) => `${Object.keys(items).length} ${name}`
console.log(
  `${catalogue.models.size} models, ${count('providers', catalogue.providers)}, ${count('capabilities', catalogue.capabilities)}`,
)
