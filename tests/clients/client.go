// A Go program on go-lxc: a line for each call, the same on any liblxc.so.1. Arguments: STORE ROOTFS.
package main

import (
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	lxc "gopkg.in/lxc/go-lxc.v2"
)

var store, rootfs string

func show(what string, values ...interface{}) {
	words := []string{}
	for _, v := range values {
		words = append(words, strings.ReplaceAll(fmt.Sprint(v), store, "STORE"))
	}
	fmt.Printf("%s = %s\n", what, strings.Join(words, ", "))
}

func fatal(what string, err error) {
	if err != nil {
		fmt.Printf("%s: %v\n", what, err)
		os.Exit(1)
	}
}

func define(name string) *lxc.Container {
	c, err := lxc.NewContainer(name, store)
	fatal("NewContainer", err)
	for _, kv := range [][2]string{{"lxc.rootfs.path", "dir:" + rootfs}, {"lxc.net.0.type", "empty"}, {"lxc.uts.name", name},
		{"lxc.init.cmd", "/sbin/shinit"}, {"lxc.mount.auto", "proc:mixed sys:mixed"}, {"lxc.tty.max", "2"},
		{"lxc.pty.max", "16"}, {"lxc.rootfs.managed", "0"}} {
		fatal(kv[0], c.SetConfigItem(kv[0], kv[1]))
	}
	return c
}

// What a command inside prints, through a pipe.
func output(c *lxc.Container, options lxc.AttachOptions, args ...string) string {
	r, w, err := os.Pipe()
	fatal("pipe", err)
	options.StdoutFd = w.Fd()
	ok, err := c.RunCommand(args, options)
	w.Close()
	text, _ := io.ReadAll(r)
	r.Close()
	return fmt.Sprint(ok, err, " ", strings.TrimSpace(string(text)))
}

func questions() {
	show("supported", lxc.IsSupportedConfigItem("lxc.uts.name"), lxc.IsSupportedConfigItem("lxc.nonsense"))
	show("version at least 1.0.0", lxc.VersionAtLeast(1, 0, 0), lxc.VersionAtLeast(99, 0, 0))
	show("run-time version at least 5.0.2", lxc.RuntimeLiblxcVersionAtLeast(lxc.Version(), 5, 0, 2))
	show("extensions", lxc.HasAPIExtension("mount_injection"), lxc.HasAPIExtension("nonsense"))
	show("zfs root", lxc.GlobalConfigItem("lxc.bdev.zfs.root"))
	show("names", lxc.ContainerNames(store), lxc.DefinedContainerNames(store), lxc.ActiveContainerNames(store))
}

func config(c *lxc.Container) {
	show("name", c.Name(), c.ConfigPath(), c.ConfigFileName(), c.Defined(), c.Running(), c.Controllable(), c.State())
	for _, key := range []string{"lxc.rootfs.path", "lxc.net", "lxc.net.0.type", "lxc.mount.auto", "lxc.nonsense"} {
		show("item "+key, strings.Join(c.ConfigItem(key), "|"))
	}
	show("set nonsense", c.SetConfigItem("lxc.nonsense", "1"))
	show("keys", c.ConfigKeys("lxc.net.0"))
	show("clear", c.ClearConfigItem("lxc.cap.drop"), c.ClearConfigItem("lxc.nonsense"))
	show("save", c.SaveConfigFile(store+"/"+c.Name()+"/config"), c.Defined())
	show("load", c.LoadConfigFile(store+"/"+c.Name()+"/config"), c.LoadConfigFile("/no/such"))
	show("log", c.SetLogFile(store+"/go.log"), c.SetLogLevel(lxc.WARN), c.LogFile(), c.LogLevel())
	show("bad start", c.Stop(), c.Freeze(), c.InitPid())
}

func life(c *lxc.Container) {
	show("start", c.Start(), c.Wait(lxc.RUNNING, 10*time.Second), c.State(), c.InitPid() > 1)
	show("start again", c.Start())
	items := []string{"pids.max", "memory.limit_in_bytes", "no.such"}
	show("set cgroup items", c.SetCgroupItem("pids.max", "77"), c.SetCgroupItem("no.such", "1"))
	for _, item := range items[:1] {
		show("cgroup item "+item, c.CgroupItem(item))
	}
	show("memory limit", c.SetMemoryLimit(64*lxc.MB))
	limit, err := c.MemoryLimit()
	show("memory limit", limit, err)
	usage, err := c.MemoryUsage()
	show("memory usage", usage > 0, err)
	cpu, err := c.CPUTime()
	show("processor", cpu > 0, err)
	_, err = c.CPUStats()
	show("processor", err)
	show("running item", c.RunningConfigItem("lxc.uts.name"))
	names, err := c.Interfaces()
	show("interfaces", names, err)
	_, err = c.IPAddresses()
	show("addresses", err)

	o := lxc.DefaultAttachOptions
	o.ClearEnv = true
	show("run", output(c, o, "/bin/sh", "-c", "echo $(hostname)"))
	o.Env = []string{"A=b", "PATH=/bin"}
	o.Cwd = "/tmp"
	o.UID, o.GID = 1000, 1001
	o.Groups = []int{5, 6}
	show("run", output(c, o, "/bin/sh", "-c", "echo $A $PWD $(id -u) $(id -g) $(id -G)"))
	status, err := c.RunCommandStatus([]string{"/bin/sh", "-c", "exit 7"}, lxc.DefaultAttachOptions)
	show("exit code", status, err)
	status, err = c.RunCommandStatus([]string{"/no/such"}, lxc.DefaultAttachOptions)
	show("no such program", status, err)
	pid, err := c.RunCommandNoWait([]string{"/bin/true"}, lxc.DefaultAttachOptions)
	show("not waited for", pid > 0, err)
	if p, err := os.FindProcess(pid); err == nil {
		state, err := p.Wait()
		show("its end", state, err)
	}
	// Before somebody holds a console: LXC 5.0 reboots no more then.
	ready(c)
	c.RunCommandStatus([]string{"/bin/rm", "/run/ready"}, quiet())
	show("reboot", c.Reboot(), c.Wait(lxc.RUNNING, 10*time.Second))
	ready(c)
	fd, err := c.ConsoleFd(-1)
	show("console", fd > 2, err)
	for what, open := range map[string]func() (*os.File, error){"init": c.InitPidFd, "devpts": c.DevptsFd} {
		f, err := open()
		if err != nil || f == nil {
			show("fd "+what, err)
			continue
		}
		f.Close()
	}
	_, err = c.SeccompNotifyFdActive()
	show("no notify descriptor", err != nil)
	show("node", c.AddDeviceNode("/dev/full"), output(c, o, "/bin/ls", "/dev/full"), c.RemoveDeviceNode("/dev/full"))
	show("freeze", c.Freeze(), c.State(), c.Freeze(), c.Unfreeze(), c.State())
	show("shutdown", c.Shutdown(15*time.Second), c.Wait(lxc.STOPPED, 15*time.Second), c.State())
	show("execute", fmt.Sprint(c.StartWithArgs([]string{"/bin/sleep", "1000"})), c.State())
	show("stop", c.Stop(), c.Wait(lxc.STOPPED, 15*time.Second))
}

// Waits until init has its traps. What counts is the text: of a command that is killed with the container go-lxc says 0.
func ready(c *lxc.Container) {
	o := quiet()
	o.ClearEnv = true
	for i := 0; i < 1000; i++ {
		if strings.HasSuffix(output(c, o, "/bin/cat", "/run/ready"), " ready") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("init is not ready")
}

// One for the whole life: a file that is collected is closed.
var null, _ = os.OpenFile("/dev/null", os.O_RDWR, 0)

func quiet() lxc.AttachOptions {
	o := lxc.DefaultAttachOptions
	o.StdinFd, o.StdoutFd, o.StderrFd = null.Fd(), null.Fd(), null.Fd()
	return o
}

func disk() {
	c, err := lxc.NewContainer("disk", store)
	fatal("NewContainer", err)
	show("create", c.Create(lxc.TemplateOptions{Template: os.Args[0] + ".template", Backend: lxc.Directory, ExtraArgs: []string{}}))
	show("defined", c.Defined())
	show("clone", c.Clone("copy", lxc.CloneOptions{Backend: lxc.Directory}))
	copied, _ := lxc.NewContainer("copy", store)
	show("copy", copied.Defined(), copied.ConfigItem("lxc.uts.name"))
	snap, err := c.CreateSnapshot()
	show("snapshot", snap != nil && snap.Name == "snap0", err)
	snaps, err := c.Snapshots()
	show("snapshots", len(snaps), err)
	if len(snaps) > 0 {
		show("restored", c.RestoreSnapshot(snaps[0], "back"))
		back, _ := lxc.NewContainer("back", store)
		show("back", back.Defined(), back.Destroy())
		show("destroy with a snapshot", c.Destroy())
		show("snapshot destroyed", c.DestroySnapshot(snaps[0]))
	}
	names := lxc.DefinedContainerNames(store)
	sort.Strings(names)
	show("names", names)
	show("rename", copied.Rename("renamed"))
	renamed, _ := lxc.NewContainer("renamed", store)
	show("renamed", renamed.Defined(), renamed.Destroy(), c.Destroy(), c.Defined())
}

// Several at once, each with its own handle, questions on a shared one meanwhile.
func parallel(shared *lxc.Container) {
	fatal("shared", shared.Start())
	var group sync.WaitGroup
	var lock sync.Mutex
	failed := []string{}
	for i := 0; i < 8; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			for round := 0; round < 3; round++ {
				name := fmt.Sprintf("p%d", i)
				c := define(name)
				var errs []string
				note := func(what string, err error) {
					if err != nil {
						errs = append(errs, fmt.Sprint(name, " ", what, ": ", err))
					}
				}
				note("save", c.SaveConfigFile(store+"/"+name+"/config"))
				note("start", c.Start())
				if status, err := c.RunCommandStatus([]string{"/bin/true"}, quiet()); status != 0 {
					note("run", fmt.Errorf("%d %v", status, err))
				}
				if shared.State() != lxc.RUNNING || shared.InitPid() < 2 {
					note("shared", fmt.Errorf("%v", shared.State()))
				}
				note("stop", c.Stop())
				c.Release()
				lock.Lock()
				failed = append(failed, errs...)
				lock.Unlock()
			}
		}(i)
	}
	group.Wait()
	show("parallel: failed", failed)
	show("shared", shared.State(), shared.Stop())
}

func main() {
	store, rootfs = os.Args[1], os.Args[2]
	questions()
	c := define("go")
	config(c)
	life(c)
	disk()
	parallel(c)
	show("release", c.Release())
}
