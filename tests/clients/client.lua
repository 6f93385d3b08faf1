-- Every call of lua-lxc on a container, a line each, the same on any liblxc.so.1. Arguments: STORE ROOTFS. No line holds what
-- differs from run to run.
local lxc = require("lxc")
local core = require("lxc.core")
local store, rootfs = arg[1], arg[2]

local function show(what, ...)
    local words = {}
    for i = 1, select("#", ...) do
        local value = select(i, ...)
        if type(value) == "table" then
            local keys = {}
            for k, v in pairs(value) do keys[#keys + 1] = tostring(k) .. "=" .. tostring(v) end
            table.sort(keys)
            value = "{" .. table.concat(keys, "; ") .. "}"
        end
        words[#words + 1] = tostring(value):gsub("\n", "|")
    end
    print(what .. " = " .. table.concat(words, ", "))
    io.flush()
end
local function number(what, value) show(what, type(value) == "number" and value > 0) end

show("default path is a path", lxc.default_config_path_get():sub(1, 1) == "/")
local c = lxc.container:new("lua", store)
show("name", c:name())
show("path", c:get_config_path())
show("defined", c:defined())
show("running", c:running())
show("state", c:state())
show("file", c:config_file_name() == store .. "/lua/config")
show("init_pid", c:init_pid())
for _, pair in ipairs({ { "lxc.rootfs.path", "dir:" .. rootfs }, { "lxc.net.0.type", "empty" }, { "lxc.uts.name", "lua" },
    { "lxc.init.cmd", "/sbin/shinit" }, { "lxc.mount.auto", "proc:mixed" }, { "lxc.mount.auto", "sys:mixed" },
    { "lxc.tty.max", "2" }, { "lxc.nonsense", "1" }, { "lxc.tty.max", "abc" } }) do
    show("set " .. pair[1], c:set_config_item(pair[1], pair[2]))
end
show("append", c:append_config_item("lxc.cap.drop", "sys_time"))
show("append", c:append_config_item("lxc.cap.drop", "mac_admin"))
for _, key in ipairs({ "lxc.rootfs.path", "lxc.net", "lxc.net.0.type", "lxc.uts.name", "lxc.init.cmd", "lxc.mount.auto",
    "lxc.tty.max", "lxc.cap.drop", "lxc.nonsense", "lxc.idmap" }) do
    local value = c:get_config_item(key)
    show("get " .. key, type(value) == "string" and value:gsub(rootfs:gsub("%W", "%%%0"), "ROOTFS") or value)
end
show("keys of the net", c:get_keys("lxc.net.0"))
show("clear", c:clear_config_item("lxc.cap.drop"))
show("cleared", c:get_config_item("lxc.cap.drop"))
show("clear nonsense", c:clear_config_item("lxc.nonsense"))
show("save elsewhere", c:save_config(store .. "/elsewhere"))
show("create", c:create("/bin/true"))
show("defined", c:defined())
show("save", c:save_config())
show("load", c:load_config())
show("load elsewhere", c:load_config(store .. "/elsewhere"))
show("load nothing", c:load_config("/no/such/file"))
c = lxc.container:new("lua", store)
c:set_config_item("lxc.rootfs.path", "dir:" .. rootfs)
show("saved", c:save_config())
show("wait STOPPED", c:wait("STOPPED", 5))
show("freeze", c:freeze())
show("stop", c:stop())
show("interfaces", c:get_interfaces())
show("start", c:start())
show("wait RUNNING", c:wait("RUNNING", 10))
show("state", c:state(), c:running())
number("init_pid", c:init_pid())
show("start again", c:start())
show("attach", c:attach("/bin/true"), c:attach("/bin/sh", "-c", "exit 0"))
show("attach a failure", c:attach("/bin/false"), c:attach("/no/such"))
show("interfaces", c:get_interfaces())
show("ips", c:get_ips("lo", "inet"))
show("running config", core.cmd_get_config_item("lua", "lxc.uts.name", store))
number("memory", tonumber(c:get_cgroup_item("memory.usage_in_bytes") or 0))
show("pids", c:set_cgroup_item("pids.max", "77"), c:get_cgroup_item("pids.max"))
show("no item", c:get_cgroup_item("no.such.item"), c:set_cgroup_item("no.such.item", "1"))
local stats = c:stats_get()
local names = {}
for name, value in pairs(stats) do names[#names + 1] = name .. ":" .. type(value) end
table.sort(names)
show("stats", table.concat(names, " "))
number("stats: memory", stats.mem_used)
number("stats: processor", stats.cpu_use_nanos)
show("freeze", c:freeze(), c:state())
show("unfreeze", c:unfreeze(), c:state())
repeat until c:attach("/bin/cat", "/run/ready")
show("shutdown", c:shutdown(15))
show("wait STOPPED", c:wait("STOPPED", 15))
show("start", c:start(), c:state())
show("stop", c:stop(), c:state())
show("rename", c:rename("lua2"))
local d = lxc.container:new("lua2", store)
show("renamed", d:defined(), lxc.container:new("lua", store):defined())
show("destroy", d:destroy(), d:defined())
show("destroy again", d:destroy())
show("path", d:set_config_path("/tmp"), d:get_config_path())
