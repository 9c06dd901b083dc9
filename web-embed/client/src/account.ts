export type { Account, AccountOptions, ApplicationInfo, CreateAccount, Device, KeyValue, Login } from './api.js'
