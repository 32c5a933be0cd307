/* _hardening: what the extension asks of the kernel and no standard module offers.
 *
 * refuse_dumps() makes this process "not dumpable": no core dump is written, and no
 * other process of the same user can read its memory through /proc or ptrace. An exec
 * undoes it, so a program must ask for it itself; that is why it is here.
 */

#define PY_SSIZE_T_CLEAN
#include "Python.h"

#include <sys/prctl.h>

static PyObject *
refuse_dumps(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"refuse_dumps", refuse_dumps, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_hardening",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__hardening(void)
{
    return PyModuleDef_Init(&definition);
}
