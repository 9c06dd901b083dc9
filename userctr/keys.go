package userctr

const keyPrefix = "tk_"
