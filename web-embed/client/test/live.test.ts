import { expect, test } from 'vitest'
import { Bell, Cell } from '../src/live.js'

test('a listener hears a value at once, and then each new one, once per turn', async () => {
  const bell = new Bell(() => {})
  const c = new Cell(bell, 1)
  const heard: number[] = []
  const stop = c.subscribe(v => heard.push(v))
  c.set(2)
  c.set(3)
  await Promise.resolve()
  expect(heard).toEqual([1, 3])
  c.set(4)
  stop()
  await Promise.resolve()
  expect(heard).toEqual([1, 3])
})

test('a listener that throws harms nobody', async () => {
  const blamed: unknown[] = []
  const bell = new Bell(e => blamed.push(e))
  const c = new Cell(bell, 'a')
  const heard: string[] = []
  c.subscribe(() => { throw new Error('mine') })
  c.subscribe(v => heard.push(v))
  c.set('b')
  await Promise.resolve()
  expect(heard).toEqual(['a', 'b'])
  expect(blamed).toHaveLength(2)
})

test('what is computed is computed when somebody looks, and told when it is another', async () => {
  const bell = new Bell(() => {})
  let n = 0, runs = 0
  const c = new Cell<number>(bell, undefined, () => { runs++; return n % 2 })
  expect(c.value).toBe(0)
  c.touch(); c.touch()
  expect(runs).toBe(1)
  const heard: number[] = []
  c.subscribe(v => heard.push(v))
  n = 2
  c.touch()
  await Promise.resolve()
  expect(heard).toEqual([0])
  n = 3
  c.touch()
  await Promise.resolve()
  expect(heard).toEqual([0, 1])
})
