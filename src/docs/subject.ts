import type { Catalogue, Model, ModelVersion } from '../catalogue/load.ts'
import type { Operation } from './operation.ts'

/** A model as the docs show it: its versions with the state that holds now, and the one that jobs get by default. */
export interface DocumentedModel extends Model {
  current: ModelVersion
}

/** What the site is about. */
export interface Subject extends Pick<Catalogue, 'providers' | 'capabilities' | 'categories'> {
  operations: Operation[]
  /** Those that anybody may see. */
  models: DocumentedModel[]
  /** Where clients reach this server. */
  origin: string
}
