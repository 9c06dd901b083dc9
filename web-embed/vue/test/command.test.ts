import type { CommandArgument } from '@troupe/client'
import { describe, expect, it } from 'vitest'
import { callingAt, find, split } from '../src/composer/command'

const arg = (name: string, type: CommandArgument['type'] = 'word'): CommandArgument => ({ name, type, help: '', required: true, choices: [] })

describe('a command', () => {
  it('is called by a text that begins with /', () => {
    expect(callingAt('/', 1)).toEqual({ t: 'name', begin: '' })
    expect(callingAt('/rem', 3)).toEqual({ t: 'name', begin: 're' })
    expect(callingAt('/remind@desk 10m tea', 20)).toEqual({ t: 'args', name: 'remind@desk', typed: '10m tea' })
    for (const text of ['', 'see /remind', ' /remind', '/usr/bin', '/提醒']) expect(callingAt(text, text.length), text).toBeNull()
  })
  it('has its words read to its arguments, in order', () => {
    const args = [arg('when', 'duration'), arg('who', 'user'), arg('text', 'text')]
    const read = (typed: string) => { const { pieces, at } = split(args, typed); return [pieces.map(p => p.value), at] }
    expect(read('')).toEqual([[], 0])
    expect(read('10')).toEqual([['10'], 0])
    expect(read('10m ')).toEqual([['10m'], 1])
    expect(read('10m "Ann Lee" a cup of tea ')).toEqual([['10m', 'Ann Lee', 'a cup of tea'], 2])
    expect(read('10m “李 雷” 喝茶')).toEqual([['10m', '李 雷', '喝茶'], 2])
  })
  it('is found by its name, and by its bot where several have one of that name', () => {
    const list = ['poll', 'say@echo', 'say@bridge'].map(call => ({ call, name: call.split('@')[0]!, bot: 'b_' + call, online: true, help: '', args: [] }))
    expect(find(list, 'POLL')?.call).toBe('poll')
    expect(find(list, 'say@bridge')?.call).toBe('say@bridge')
    expect(find(list, 'sing')).toBeUndefined()
  })
})
